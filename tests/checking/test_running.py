from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, run
from arena_lib.checking.results import Result


def named(check, result):
    return next(c for c in result.checks if c.name == check)


def test_reference_passes_and_is_recognised(toy):
    result = run(toy.test_half_norm, toy.half_norm)
    assert result.status == "passed"
    assert result.is_reference
    assert result.exercise == "toy_exercises/half_norm"
    assert [c.name for c in result.checks] == [
        "is callable",
        "takes these arguments",
        "runs",
        "types and shapes",
        "finite values",
        "Keeps the number of rows",
        "values",
    ]
    assert all(c.passed for c in result.checks)


def test_own_solution_passes_and_is_not_the_reference(toy):
    def mine(x, weight):
        return 0.5 * weight * x + x.detach()

    result = run(toy.test_half_norm, mine)
    assert result.status == "passed"
    assert not result.is_reference
    assert result.source_hash is not None
    assert len(result.test_hash or "") == 64


def test_mistake_is_named_with_its_reason_and_the_first_wrong_entry(toy):
    def mine(x, weight):
        return x * weight + x.detach()

    result = run(toy.test_half_norm, mine)
    assert result.status == "failed"
    assert result.diagnosis is not None
    assert result.diagnosis.mistake == "does not halve"
    assert result.mismatch is not None
    assert result.mismatch.kind == "values"
    assert result.mismatch.first_index == (0, 0)
    assert result.mismatch.axes == ("batch", "d_model")
    assert "does not halve" in result.message
    assert "several rows" in result.message


def test_mistake_that_only_a_gradient_shows_is_named(toy):
    result = run(toy.test_half_norm, lambda x, weight: x * weight / 2 + x)
    assert result.diagnosis is not None
    assert result.diagnosis.mistake == "lets the gradient through"
    assert result.mismatch is not None
    assert result.mismatch.observation == "gradient of x"


def test_unknown_mistake_gets_no_name(toy):
    result = run(toy.test_half_norm, lambda x, weight: x * weight / 3 + x.detach())
    assert result.status == "failed"
    assert result.diagnosis is None


def test_wrong_shape_is_found_before_values_and_properties(toy):
    result = run(toy.test_half_norm, lambda x, weight: (x * weight)[:1, :1])
    assert result.mismatch is not None
    assert result.mismatch.kind == "shape"
    assert not named("types and shapes", result).passed


def test_wrong_number_of_arguments_is_said_before_anything_runs(toy):
    calls = []
    result = run(toy.test_half_norm, lambda x: calls.append(x))
    assert result.status == "failed"
    check = named("takes these arguments", result)
    assert "(x, weight)" in check.message
    assert "missing" in check.message or "too many" in check.message
    assert calls == []


def test_the_right_parameters_in_another_order_are_said_only_where_something_is_wrong(toy):
    result = run(toy.test_half_norm, lambda weight, x: 0.5 * weight * x + x.detach())
    assert result.status == "failed"
    (failed,) = (check for check in result.checks if not check.passed)
    assert failed.message == (
        "It must take (x, weight): got (weight, x). Tests call it by position, so the order counts."
    )
    assert result.diagnosis is None
    stops = run(toy.test_half_norm, lambda weight, x: x.no_such_thing)
    assert "got (weight, x)" in named("takes these arguments", stops).message
    assert run(toy.test_half_norm, lambda weight, x: 0.5 * x * weight + weight.detach()).status == "passed"
    assert "It must take" not in run(toy.test_half_norm, lambda weight, other: other).message


def test_an_observer_may_add_arguments_that_must_be_given_by_name():
    def draw(n: int, *, generator: torch.Generator) -> torch.Tensor:
        return torch.rand(n, generator=generator)

    def length(function, case):
        return {"length": len(function(case.given["n"], generator=torch.Generator().manual_seed(0)))}

    cases = [Case(label="five", given={"n": 5})]
    test = exercise(reference=draw, cases=lambda generator: cases, observe=length, accepts=[draw])
    assert run(test, lambda n, *, generator: torch.rand(n, generator=generator)).status == "passed"
    unnamed = run(test, lambda n: torch.rand(n))
    assert "It must take (n, generator): got (n), and" in named("takes these arguments", unnamed).message


def test_object_that_is_not_callable_is_said(toy):
    for thing in (None, 3, torch.zeros(2)):
        result = run(toy.test_half_norm, thing)
        assert result.status == "failed"
        assert "takes a function" in named("is callable", result).message


def test_argument_changed_in_place_fails_and_is_said(toy):
    def mine(x, weight):
        kept = x.detach().clone()
        return x.mul_(weight) / 2 + kept

    result = run(toy.test_half_norm, mine)
    assert result.status == "failed"
    assert "it changed x." in named("arguments unchanged", result).message
    assert result.mismatch is None


def test_argument_changed_in_place_is_a_note_where_allowed(toy):
    from dataclasses import replace

    def mine(x, weight):
        kept = x.detach().clone()
        return x.mul_(weight) / 2 + kept

    result = run(replace(toy.test_half_norm, may_change_arguments=True), mine)
    assert result.status == "passed"
    assert "changes x in place" in result.notes[0]


def test_module_class_passes_with_its_own_code(toy):
    class Mine(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.w = nn.Parameter(torch.randn(cfg.d_model))
            self.b = nn.Parameter(torch.randn(cfg.d_model))

        def forward(self, x):
            return torch.addcmul(self.b, self.w, x)

    assert run(toy.test_affine, Mine).status == "passed"


def test_module_with_a_misnamed_parameter_is_told_which(toy):
    class Mine(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.w = nn.Parameter(torch.ones(cfg.d_model))
            self.bias = nn.Parameter(torch.zeros(cfg.d_model))

        def forward(self, x):
            return self.w * x + self.bias

    result = run(toy.test_affine, Mine)
    assert result.status == "failed"
    message = " ".join(result.message.split())
    assert "missing: b" in message
    assert "not expected: bias" in message


def test_module_with_a_parameter_of_the_wrong_shape_is_told_both_shapes(toy):
    class Mine(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.w = nn.Parameter(torch.ones(cfg.d_model + 1))
            self.b = nn.Parameter(torch.zeros(cfg.d_model))

        def forward(self, x):
            return self.w * x + self.b

    message = run(toy.test_affine, Mine).message
    assert "(3,)" in message
    assert "(4,)" in message


def test_instance_in_place_of_a_class_is_said(toy):
    result = run(toy.test_affine, toy.Affine(toy.Config()))
    assert result.status == "failed"
    assert "without calling it" in " ".join(result.message.split())


def test_detached_module_is_noticed_through_its_parameters(toy):
    class Mine(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.w = nn.Parameter(torch.ones(cfg.d_model))
            self.b = nn.Parameter(torch.zeros(cfg.d_model))

        def forward(self, x):
            return self.w.data * x + self.b

    result = run(toy.test_affine, Mine)
    assert result.mismatch is not None
    assert result.mismatch.observation == "gradient of w"


def test_recorder_gets_the_result_but_never_the_reference(toy):
    seen = []
    run(toy.test_half_norm, toy.half_norm, recorder=seen.append)
    assert seen == []
    result = run(toy.test_half_norm, lambda x, weight: x, recorder=seen.append)
    assert seen == [result]


def test_a_result_bears_the_exercises_id_where_it_is_given(toy):
    assert run(toy.test_half_norm, toy.half_norm, exercise_id="1.1/half_norm").exercise == "1.1/half_norm"
    assert run(toy.test_half_norm, toy.half_norm).exercise == "toy_exercises/half_norm"


def test_result_survives_json(toy):
    result = run(toy.test_half_norm, lambda x, weight: x * weight + x.detach())
    assert Result.from_json(result.to_json()) == result


def test_part_runs_only_its_cases(toy):
    part = toy.test_half_norm.part("one row")
    assert run(part, lambda x, weight: toy.half_norm(x, weight) if len(x) == 1 else None).status == "passed"
    assert (
        run(toy.test_half_norm, lambda x, weight: toy.half_norm(x, weight) if len(x) == 1 else None).status == "failed"
    )


def test_property_that_fails_comes_before_the_values(toy):
    from dataclasses import replace

    def is_negative(seen, case):
        """Is negative."""
        return "It must be negative." if (seen["output"] >= 0).any() else None

    test = replace(toy.test_half_norm, reference=toy.negative, properties=(is_negative,), mistakes=())
    result = run(test, lambda x, weight: (x * weight).abs() + 1)
    assert named("Is negative", result).message == "It must be negative."
    assert result.mismatch is not None
    assert "It must be negative." in result.message


def test_device_is_where_the_arguments_lie(toy):
    seen = []

    def mine(x, weight):
        seen.append(x.device.type)
        return 0.5 * weight * x + x.detach()

    assert run(toy.test_half_norm, mine, device="cpu").status == "passed"
    assert set(seen) == {"cpu"}


def test_call_writes_short_values_out(toy):
    from dataclasses import replace

    from arena_lib.checking import Case

    def cases(generator):
        return [Case(label="a label", args=(torch.tensor([3, 1]), ("a", "b")), kwargs={"weight_decay": 0.5})]

    test = replace(
        toy.test_half_norm, reference=toy.pair_up, cases=cases, observe=toy.plain_outputs, mistakes=(), properties=()
    )
    result = run(test, lambda x, weight, weight_decay: 0)
    assert result.mismatch is not None
    assert result.call == "half_norm(x=tensor([3, 1]), weight=('a', 'b'), weight_decay=0.5)"
    assert result.case == "a label"


class HalfNorm:
    def __init__(self, size):
        self.size = size


def test_a_class_that_the_observer_calls_has_its_own_name_in_the_call(toy):
    def cases(generator):
        return [Case(label="", call="3"), Case(label="", call="HalfNorm(3).size")]

    def sizes(cls, case):
        return {"output": cls(3).size if "size" not in case.call else 2 * cls(3).size}

    shared = {"cases": cases, "observe": sizes, "mistakes": (), "properties": (), "reference": HalfNorm}
    test = replace(toy.test_half_norm, **shared)
    assert run(test, type("HalfNorm", (), {"__init__": lambda self, size: None, "size": 2})).call == "HalfNorm(3)"
    twice = replace(test, cases=lambda generator: cases(generator)[1:])
    assert run(twice, type("HalfNorm", (), {"__init__": lambda self, n: None, "size": 2})).call == "HalfNorm(3).size"


def test_what_an_observer_leaves_out_counts_only_where_nothing_else_differs(toy):
    def rows_if_complete(function, case):
        out = function(*case.fresh().args).detach()
        is_complete = len(out) == len(case.args[0])
        return ({"rows": out} if is_complete else {}) | {"number of rows": len(out)}

    test = replace(toy.test_half_norm, observe=rows_if_complete, properties=())
    result = run(test, lambda x, weight: toy.half_norm(x, weight)[1:])
    assert result.mismatch.observation == "number of rows"


def test_a_property_that_fails_is_told_with_the_call_in_which_it_does(toy):
    def is_long(seen, case):
        """Has at least five columns."""
        return "It must have five columns." if case.label == "one row" else None

    result = run(replace(toy.test_half_norm, properties=(is_long,)), lambda x, weight: 0.5 * weight * x + x.detach())
    assert (result.case, result.mismatch) == ("one row", None)
    assert result.call.startswith("half_norm(x=a float32 tensor of shape (1, 5), weight=tensor([")
    assert result.message.splitlines()[1].startswith("  call     half_norm(")


def test_a_gradient_has_the_axes_of_its_argument(toy):
    def typed(x: Float[Tensor, "batch d_model"], weight: Float[Tensor, " d_model"]) -> Float[Tensor, "batch d_model"]:
        return x * weight

    test = replace(toy.test_half_norm, reference=typed, properties=(), accepts=(), mistakes=())
    result = run(test, lambda x, weight: x.detach() * weight)
    assert result.mismatch.observation == "gradient of x"
    assert result.mismatch.axes == ("batch", "d_model")


def shown(function, *cases):
    """A test of `function` on these cases, and then its docstring's examples."""
    return exercise(reference=function, cases=lambda generator: list(cases), accepts=[lambda x: x + x])


def doubled(x):
    """Twice x.

    >>> doubled(torch.ones(2)).tolist()
    [2.0, 2.0]
    """
    return 2 * x


SINGLE, HALF = Case(label="single", args=(torch.ones(3),)), Case(label="half", args=(torch.ones(3).half(),))


def test_a_wrong_type_is_said_before_what_follows_from_it_in_an_example():
    result = run(shown(doubled, SINGLE), lambda x: None)
    assert (result.status, result.mismatch.kind, result.case) == ("failed", "type", "single")


def test_an_example_that_raises_quotes_nothing_of_the_library():
    def raises_for_two(x):
        return 2 * x if len(x) == 3 else None

    result = run(shown(doubled, SINGLE), raises_for_two)
    assert result.status == "error"
    assert "'NoneType' object has no attribute 'tolist'" in result.message
    assert '"""' not in result.message


def test_wrong_values_come_before_a_wrong_dtype_in_a_later_case():
    factor = torch.tensor([3.0, 2.0, 2.0])
    result = run(shown(doubled, SINGLE, HALF), lambda x: x * factor[: len(x)])
    assert (result.mismatch.kind, result.case) == ("values", "single")
    assert run(shown(doubled, SINGLE, HALF), lambda x: 2 * x.float()).mismatch.kind == "dtype"


def test_a_wrong_value_is_said_before_what_is_missing_because_of_it():
    def observe(function, case):
        output = function(*case.fresh().args)
        return {"output": output, "gradient": None if float(output[0]) > 2.5 else output}

    test = replace(shown(doubled, SINGLE), observe=observe)
    result = run(test, lambda x: 3 * x)
    assert (result.mismatch.observation, result.mismatch.kind) == ("output", "values")
    assert [check.name for check in result.checks if not check.passed] == ["values"]
    missing = replace(
        shown(doubled, SINGLE), observe=lambda f, case: {"gradient": None if f is mine else f(*case.args)}
    )

    def mine(x):
        return 2 * x

    assert run(missing, mine).mismatch.kind == "type"
