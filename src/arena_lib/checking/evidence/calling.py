"""What a learner would write to make the call of a case."""

from torch import nn

from arena_lib.checking.cases import Case
from arena_lib.checking.evidence.examples import is_examples_case
from arena_lib.checking.exercises import Exercise, snake_case
from arena_lib.checking.reports.calls import call_text


def call_of(test: Exercise, case: Case) -> tuple[str, str]:
    """The call as a learner would write it, and what is special about it."""
    if is_examples_case(case):
        return case.label, ""
    return call_text(_called_as(test, case), test.parameters(), case), case.label


def _called_as(test: Exercise, case: Case) -> str:
    """The exercise's name; that of the class where the observer calls the class itself, not a module made from a config."""
    reference = test.reference
    if isinstance(reference, type) and case.call.startswith(f"{reference.__name__}("):  # an author wrote it whole
        return reference.__name__
    if not isinstance(reference, type) or not _is_named_after(test, reference):
        return test.name
    if case.args:  # those of forward; how the observer makes the module is its own affair, unless it is from a config
        made = f"{reference.__name__}({'...' if '__init__' in vars(reference) else ''})"
        return made if issubclass(reference, nn.Module) and "cfg" not in case.given else test.name
    calls_module = issubclass(reference, nn.Module) and not case.call.startswith(f"{reference.__name__}(")
    return test.name if calls_module else reference.__name__


def _is_named_after(test: Exercise, reference: type) -> bool:
    """Whether the exercise is called after its class, as `relu` after ReLU: the places of underscores may differ."""
    return snake_case(reference.__name__).replace("_", "") == test.name.replace("_", "")
