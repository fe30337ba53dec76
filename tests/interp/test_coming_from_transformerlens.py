"""docs/coming_from_transformerlens.md: both versions of each step give the same, and ours needs no more lines."""

import ast
import re

import pytest
import torch
from tests.interp.peers_page import PAGE, SECTION, read_blocks

from arena_lib import zoo

MOST = 2e-3
"""Two libraries' float32 on thirty layers; the logit differences that are compared are about 5."""


def read_steps():
    """For each step, its title and the code of both versions."""
    steps = []
    text = PAGE.read_text(encoding="utf-8").split(SECTION)[0]
    for part in re.split(r"^### ", text, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        steps.append((title, *re.findall(r"^```python\n(.*?)^```", body, flags=re.M | re.S)))
    return steps


STEPS = read_steps()


def last_name(code):
    """The variable that the last statement gives a value to."""
    return ast.unparse(ast.parse(code).body[-1].targets[0])


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
def test_ours_takes_no_more_lines(step):
    _, theirs, ours = step
    assert len(ours.splitlines()) <= len(theirs.splitlines())
    assert last_name(ours) == last_name(theirs)


def test_the_peers_versions_are_those_of_their_environment():
    pins = (PAGE.parents[1] / "constraints-peers.txt").read_text(encoding="utf-8")
    stated = dict(re.findall(r"(sae-lens|circuitsvis|TransformerLens) (\d+\.\d+)", PAGE.read_text(encoding="utf-8")))
    for name, package in (
        ("sae-lens", "sae-lens"),
        ("circuitsvis", "circuitsvis"),
        ("TransformerLens", "transformer-lens"),
    ):
        assert f"\n{package}=={stated[name]}." in pins
    assert all(compile(code, title, "exec") for title, code in read_blocks())
    assert len(read_blocks()) == 4


def check_equal(ours, theirs):
    if isinstance(ours, list):
        assert len(ours) == len(theirs)
        for pair in zip(ours, theirs, strict=True):
            check_equal(*pair)
    elif isinstance(ours, torch.Tensor):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=MOST)
    else:
        assert ours == theirs


@pytest.mark.real
@pytest.mark.skipif(not zoo.is_available("smollm2"), reason="not fetched; run: arena zoo fetch smollm2")
@pytest.mark.filterwarnings("ignore")
def test_both_versions_of_each_step_give_the_same():
    names = {}, {}
    with torch.no_grad():
        for title, *versions in STEPS:
            for code, namespace in zip(versions, names, strict=True):
                exec(compile(code, f"{PAGE.name}: {title}", "exec"), namespace)
            theirs, ours = (namespace[last_name(versions[0])] for namespace in names)
            check_equal(ours, theirs)
            if isinstance(ours, torch.Tensor) and ours.ndim > 0:
                assert ours.std() > 10 * MOST, title
