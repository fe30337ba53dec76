import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.interp.circuits import (
    all_nodes,
    make_known_induction_model,
    make_repeated_tokens,
    mean_knockout,
    resample_knockout,
    run_circuit,
    zero_knockout,
)
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.nodes import Embed, FinalResidual, Head, HeadInput, reaches

LENGTH = 12
SIZES = [(24, 33), (9, 40), (40, 25)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def predictions(logits: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and truth for the second copy but for its first token."""
    n = tokens.shape[1] // 2
    return logits[:, n + 1 : -1], tokens[:, n + 2 :]


@pytest.mark.parametrize(("d_vocab", "n_ctx"), SIZES)
@pytest.mark.parametrize("is_rotated", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_it_repeats_every_string(d_vocab, n_ctx, is_rotated, dtype):
    model, _ = make_known_induction_model(
        d_vocab=d_vocab, n_ctx=n_ctx, generator=seeded(), is_rotated=is_rotated, dtype=dtype
    )
    length = min(d_vocab - 1, (n_ctx - 1) // 2)
    tokens = make_repeated_tokens(d_vocab, length, 50, seeded(1))
    logits, truth = predictions(model(tokens), tokens)
    assert logits.dtype == dtype
    assert (logits.argmax(dim=-1) == truth).all()
    assert -logits.log_softmax(dim=-1).gather(-1, truth[..., None]).mean() < 1e-4
    first = model(tokens)[:, :length]
    assert first.abs().max() < 1e-3, "without a match nothing is predicted"


@pytest.mark.parametrize("is_rotated", [True, False])
def test_decoys_have_norm_and_no_effect(is_rotated):
    model, truth = make_known_induction_model(generator=seeded(), is_rotated=is_rotated)
    tokens, others = (make_repeated_tokens(24, LENGTH, 8, seeded(seed)) for seed in (1, 2))
    logits, nodes = model(tokens), all_nodes(model)
    knockouts = [zero_knockout(model, tokens), mean_knockout(model, tokens), resample_knockout(model, others)]
    for layer, head in truth.decoys:
        for knockout in knockouts:
            without = run_circuit(model, tokens, nodes - {Head(layer, head)}, knockout)
            assert (without - logits).abs().max() < 1e-10
    for head in truth.heads:
        for knockout in knockouts:
            without = run_circuit(model, tokens, nodes - {Head(*head)}, knockout)
            assert (without - logits).abs().max() > 5


def test_decoys_are_as_large_as_the_true_head_of_their_layer():
    model, truth = make_known_induction_model(generator=seeded())
    for layer, true_head in truth.heads:
        for name in ("W_Q", "W_K", "W_V", "W_O"):
            norms = getattr(hooked(model), name)(layer).norm(dim=(-2, -1))
            torch.testing.assert_close(norms, norms[true_head].expand(4))


def test_decoys_look_like_circuit_heads():
    """One attends exactly as the true head does, one writes as much, one would write to the right place."""
    model, truth = make_known_induction_model(generator=seeded())
    tokens = make_repeated_tokens(24, LENGTH, 3, seeded(1))
    _, cache = model.run_with_cache(tokens)
    for layer, true_head in truth.heads:
        kinds = {kind: head for (at, head), kind in truth.decoys.items() if at == layer}
        pattern = cache["pattern", layer]
        torch.testing.assert_close(pattern[:, kinds["halves apart"]], pattern[:, true_head])
        written = cache["result", layer].norm(dim=-1).mean(dim=(0, 1))
        assert written[kinds["unread"]] > 0.9 * written[true_head]
        assert written[kinds["halves apart"]] < 1e-10
        assert written[kinds["nothing to read"]] < 1e-10
        spaces = model.W_O[layer].mT @ torch.linalg.pinv(model.W_O[layer]).mT
        would_write, writes = spaces[kinds["nothing to read"]], spaces[true_head]
        assert (would_write @ writes).norm() > 0.9 * writes.norm(), "where the true head writes"


def test_the_truth_names_every_head_once_and_edges_that_can_be():
    model, truth = make_known_induction_model()
    assert sorted([*truth.heads, *truth.decoys]) == hooked(model).heads
    assert all(reaches(sender, receiver) for sender, receiver in truth.edges)
    assert truth.edges == (
        (Embed(), HeadInput(0, 1, "v")),
        (Head(0, 1), HeadInput(1, 2, "k")),
        (Embed(), HeadInput(1, 2, "q")),
        (Embed(), HeadInput(1, 2, "v")),
        (Head(1, 2), FinalResidual()),
    )


def contribution(cache, sender) -> torch.Tensor:
    return cache["embed"] if isinstance(sender, Embed) else cache["result", sender.layer][:, :, sender.head]


def test_effects_flow_along_the_true_edges_and_no_others():
    """Each sender's part of each receiver's input, replaced by that of another text: the logits tell."""
    model, truth = make_known_induction_model(generator=seeded())
    tokens, others = (make_repeated_tokens(24, LENGTH, 6, seeded(seed)) for seed in (1, 2))
    logits, cache = model.run_with_cache(tokens)
    _, other_cache = model.run_with_cache(others)
    W = {"q": model.W_Q, "k": model.W_K, "v": model.W_V}
    senders = [Embed(), *(Head(*head) for head in hooked(model).heads)]
    receivers = [HeadInput(layer, head, part) for layer, head in hooked(model).heads for part in "qkv"]
    effective = set()
    for sender in senders:
        change = contribution(other_cache, sender) - contribution(cache, sender)
        for receiver in [*receivers, FinalResidual()]:
            if not reaches(sender, receiver):
                continue
            if isinstance(receiver, FinalResidual):
                patched = model.unembed(model.ln_final(cache["resid_post", 1] + change))
            else:
                layer, head, part = receiver.layer, receiver.head, receiver.part
                read = (change - change.mean(dim=-1, keepdim=True)) @ W[part][layer, head]

                def add(x, hook, head=head, read=read):
                    x[:, :, head] += read

                patched = model.run_with_hooks(tokens, [(f"blocks.{layer}.attn.hook_{part}", add)])
            effect = float((patched - logits).abs().max())
            assert effect < 1e-9 or effect > 1
            if effect > 1:
                effective.add((sender, receiver))
    assert effective == set(truth.edges)


def test_rotation_shows_nothing_in_single_weights_and_changes_no_logit():
    plain, _ = make_known_induction_model(is_rotated=False)
    turned, _ = make_known_induction_model(generator=seeded(3))
    tokens = make_repeated_tokens(24, LENGTH, 4, seeded(1))
    torch.testing.assert_close(turned(tokens), plain(tokens), rtol=0, atol=1e-9)
    assert (plain.W_E == 0).double().mean() > 0.9
    assert (turned.W_E == 0).double().mean() == 0


def test_repeated_tokens_begin_with_start_and_differ_within_a_copy():
    tokens = make_repeated_tokens(9, 8, 20, seeded())
    assert tokens.shape == (20, 17)
    assert (tokens[:, 0] == 0).all()
    assert torch.equal(tokens[:, 1:9], tokens[:, 9:])
    assert all(sorted(row[1:9].tolist()) == list(range(1, 9)) for row in tokens)
    assert len({tuple(row.tolist()) for row in tokens}) == 20


def test_sizes_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="got 3 and 33"):
        make_known_induction_model(d_vocab=3)
    with pytest.raises(ConfigError, match="got 24 and 4"):
        make_known_induction_model(n_ctx=4)
    with pytest.raises(ConfigError, match="between 2 and 8: got 9"):
        make_repeated_tokens(9, 9, 1)
