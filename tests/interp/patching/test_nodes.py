"""What sends, what receives, and which comes first."""

import pytest
from tests.interp.patching.conftest import make_random

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.nodes import (
    MLP,
    Embed,
    FinalResidual,
    Head,
    HeadInput,
    MLPInput,
    check_nodes,
    reaches,
)


def test_attention_comes_before_the_mlp_of_its_layer():
    assert reaches(Head(1, 0), MLPInput(1))
    assert not reaches(MLP(1), MLPInput(1))
    assert not reaches(MLP(1), HeadInput(1, 0, "q"))
    assert not reaches(Head(1, 0), HeadInput(1, 3, "v"))
    assert reaches(MLP(0), HeadInput(1, 0, "k"))


def test_embeddings_come_before_everything_and_the_final_residual_after():
    assert all(reaches(Embed(), receiver) for receiver in (HeadInput(0, 0, "q"), MLPInput(0), FinalResidual()))
    assert all(reaches(sender, FinalResidual()) for sender in (Head(99, 0), MLP(99)))


def test_nodes_of_different_kinds_are_different():
    assert len({Head(1, 0), MLP(1), MLPInput(1), Embed(), FinalResidual(), HeadInput(1, 0, "q")}) == 6
    assert Head(1, 0) == Head(1, 0)


@pytest.mark.parametrize(
    ("senders", "receivers", "error", "message"),
    [
        ([Head(0, 4)], [FinalResidual()], UnknownNameError, r"no head is called '0\.4'"),
        ([Head(3, 0)], [FinalResidual()], UnknownNameError, r"no head is called '3\.0'"),
        ([MLP(3)], [FinalResidual()], UnknownNameError, "no layer is called '3'"),
        ([Embed()], [HeadInput(1, 4, "q")], UnknownNameError, r"no head is called '1\.4'"),
        ([Embed()], [MLPInput(-1)], UnknownNameError, "no layer is called '-1'"),
        ([], [FinalResidual()], ConfigError, "senders must hold at least one node"),
        ([Embed()], [], ConfigError, "receivers must hold at least one node"),
        (Head(0, 0), [FinalResidual()], ConfigError, r"senders must be a list .*, \[Head\(layer=0, head=0\)\]"),
        ([Embed()], FinalResidual(), ConfigError, r"receivers must be a list of nodes: got FinalResidual\(\)"),
        ([(0, 1)], [FinalResidual()], ConfigError, r"a sender must be one of Embed, Head, MLP: got \(0, 1\)"),
        ([Embed()], [Head(0, 1)], ConfigError, "a receiver must be one of HeadInput, MLPInput, FinalResidual"),
        ([Head(1, 0)], [HeadInput(1, 1, "q")], ConfigError, "a sender must come before a receiver"),
        ([Embed(), MLP(1)], [MLPInput(1)], ConfigError, r"must come before a receiver: got MLP\(layer=1\)"),
        ([Embed()], [MLPInput(1), FinalResidual()], ConfigError, "must be the only receiver: got 2"),
    ],
)
def test_bad_nodes_are_refused(senders, receivers, error, message):
    with pytest.raises(error, match=message):
        check_nodes(hooked(make_random("gpt2")), senders, receivers)


def test_a_model_without_mlps_has_no_such_nodes():
    lm = hooked(make_random("attention_only"))
    for senders, receivers in (([MLP(0)], [FinalResidual()]), ([Embed()], [MLPInput(1)])):
        with pytest.raises(ConfigError, match="must have MLPs for MLP"):
            check_nodes(lm, senders, receivers)


def test_a_sender_that_comes_after_some_receivers_is_allowed():
    check_nodes(hooked(make_random("gpt2")), [Head(1, 0)], [HeadInput(0, 0, "q"), HeadInput(2, 1, "v")])


def test_a_head_has_no_other_inputs():
    receiver = HeadInput(1, 0, "q")
    object.__setattr__(receiver, "part", "z")
    with pytest.raises(UnknownNameError, match="no input of a head is called 'z'"):
        check_nodes(hooked(make_random("gpt2")), [Embed()], [receiver])
