"""The state of a case tells whether anything in it was changed."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from arena_lib.checking.cases import Case
from arena_lib.checking.evidence.case_states import state_of


def make_case() -> Case:
    model = nn.Linear(2, 3).requires_grad_(False)
    return Case(label="a", args=(torch.zeros(2),), given={"model": model, "seen": SimpleNamespace(calls=[])})


def _hook(module: Any, args: Any) -> None:
    """Does nothing."""


def _write_behind_autograd(case: Case) -> None:
    case.given["model"].weight.data[0, 0] = 7.0


def _write_argument(case: Case) -> None:
    case.args[0][1] = 1.0


def _leave_hook(case: Case) -> None:
    case.given["model"].register_forward_pre_hook(_hook)


def _leave_gradient(case: Case) -> None:
    weight: Tensor = case.given["model"].weight
    weight.grad = torch.ones_like(weight)


def _note(case: Case) -> None:
    case.given["seen"].calls.append("forward")


def test_an_unchanged_case_keeps_its_state_when_it_is_used() -> None:
    case = make_case()
    before = state_of(case)
    case.given["model"](case.args[0])
    assert before is not None
    assert state_of(case) == before


@pytest.mark.parametrize("change", [_write_behind_autograd, _write_argument, _leave_hook, _leave_gradient, _note])
def test_each_change_shows(change: Any) -> None:
    case = make_case()
    before = state_of(case)
    change(case)
    assert state_of(case) != before


def test_what_cannot_be_looked_into_has_no_state() -> None:
    assert state_of(Case(label="a", given={"metric": lambda x: x})) is None
