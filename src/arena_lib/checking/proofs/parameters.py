"""Whether every parameter matters: versions of a reference that ignore one of them.

A parameter with a default is ignored by using the default whatever was given; one without, that holds a
plain value and that the docstring describes, by using what the first call gave. A test that accepts such a
version looks at nothing that this parameter changes.
"""

from arena_lib.checking.evidence.ignoring import asked_about, ignoring
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.proofs.places import place_of_test
from arena_lib.checking.running import rejects


def parameter_problems(test: Exercise) -> list[str]:
    """What doesn't hold: a parameter that the test never looks at, or one that is declared free and isn't."""
    names = asked_about(test.reference)
    problems = [
        f"{place_of_test(test, name)}: free must name parameters with a default or a description: got {name!r}, "
        f"but they are {', '.join(names) or 'none'}. Drop it, or name one of them."
        for name in test.free
        if name not in names
    ]
    for name in names:
        version = ignoring(test.reference, name)
        is_rejected = rejects(test, version.obj if test.adapt is None else test.adapt(version.obj))
        # One without a default that held no plain value in any case, a model or a tensor, isn't asked about.
        is_asked = version.has_default or bool(version.ignored)
        if is_asked and not is_rejected and name not in test.free:
            problems.append(
                f"{place_of_test(test)}: a version that ignores {name!r} must be rejected: it passes. Add a case that "
                f'gives another value, or say why a solution may ignore it: free={{"{name}": "only speed and memory"}}.'
            )
        if is_rejected and name in test.free:
            problems.append(
                f"{place_of_test(test, name)}: {name!r} is declared free, but a version that ignores it is rejected. "
                "Drop it from free."
            )
    return problems
