"""Activations at a hook: what is read, and where the model stops."""

import pytest
import torch
from tests.saes.training.toys import D_MLP, D_MODEL, N_LAYERS, SEQ, TOKENS, make_model

from arena_lib import zoo
from arena_lib.core.batches import Batch
from arena_lib.errors import ArenaError, ConfigError, ShapeError, UnknownNameError
from arena_lib.saes.training.evaluation import evaluate_sae
from arena_lib.saes.training.reading import ActivationReader, attend, merge_heads, read_batch
from arena_lib.saes.training.splicing import run_with_sae
from arena_lib.saes.training.store import ActivationStore
from arena_lib.saes.training.variants import make_sae
from arena_lib.transformer.fast.padding import pad_left

HOOKS = (
    "hook_embed",
    "blocks.0.hook_resid_pre",
    "blocks.1.hook_resid_pre",
    "blocks.1.hook_resid_mid",
    "blocks.2.hook_resid_post",
    "blocks.0.mlp.hook_post",
    "blocks.2.hook_mlp_out",
    "ln_final.hook_normalized",
)


@pytest.mark.parametrize("name", HOOKS)
def test_what_is_read_is_what_a_whole_run_has_there(name):
    model = make_model()
    (acts,) = ActivationReader(model, name).read(TOKENS[:3])
    _, cache = model.run_with_cache(TOKENS[:3])
    torch.testing.assert_close(acts.clone(), cache[name].detach(), rtol=1e-4, atol=1e-6)
    assert acts.is_inference()


def test_several_hooks_come_in_their_order_and_heads_side_by_side():
    model = make_model()
    names = ("blocks.1.mlp.hook_post", "blocks.1.attn.hook_z", "blocks.1.hook_resid_pre")
    reader = ActivationReader(model, *names)
    assert reader.widths == (D_MLP, 2 * 4, D_MODEL)
    read = reader.read(TOKENS[:2])
    _, cache = model.run_with_cache(TOKENS[:2])
    for acts, name in zip(read, names, strict=True):
        assert acts.shape[:2] == (2, SEQ)
        torch.testing.assert_close(acts.clone().flatten(), cache[name].detach().flatten(), rtol=1e-4, atol=1e-6)
    assert torch.equal(merge_heads(cache[names[1]])[0, 3, 4:], cache[names[1]][0, 3, 1])


@pytest.mark.parametrize(
    ("names", "n_run"),
    [
        (["blocks.1.hook_resid_pre"], 1),
        (["blocks.1.hook_resid_mid"], 2),
        (["blocks.0.hook_resid_pre"], 1),
        (["blocks.2.hook_resid_post"], 3),
        (["hook_embed", "blocks.0.hook_mlp_out"], 1),
        (["blocks.2.hook_resid_pre", "blocks.2.hook_mlp_out"], 3),
    ],
)
def test_the_model_stops_after_the_last_hook(names, n_run):
    model, layers = make_model(), []
    reader = ActivationReader(model, *names)
    for layer in range(N_LAYERS):
        model.add_hook(f"blocks.{layer}.hook_resid_post", lambda resid, hook: layers.append(hook.name))
    model.add_hook("ln_final.hook_normalized", lambda resid, hook: layers.append(hook.name))
    reader.read(TOKENS[:2])
    assert len(layers) == n_run


def test_padding_on_either_side_changes_nothing_at_real_tokens():
    model = make_model()
    mask = torch.ones(2, SEQ, dtype=torch.bool)
    mask[1, 4:] = False
    reader = ActivationReader(model, "blocks.2.hook_resid_post")
    (alone,) = reader.read(TOKENS[1:2, :4])
    (right,) = reader.read(TOKENS[:2], mask)
    (left,) = reader.read(*pad_left(TOKENS[:2], mask))
    torch.testing.assert_close(right[1, :4].clone(), alone[0].clone())
    torch.testing.assert_close(left[1, 3:].clone(), alone[0].clone(), rtol=1e-4, atol=1e-5)
    assert attend(reader.lm, mask) is reader.lm


def test_a_bridge_is_read_too_also_after_its_last_layer():
    ours, bridge = zoo.load("tiny-llama"), zoo.load_bridge("tiny-llama")
    tokens = torch.randint(300, 500, (2, 5), generator=torch.Generator().manual_seed(0))
    for name in ("blocks.3.hook_resid_post", "blocks.2.hook_resid_pre", "blocks.1.hook_mlp_out"):
        (expected,) = ActivationReader(ours, name).read(tokens)
        (acts,) = ActivationReader(bridge, name).read(tokens)
        torch.testing.assert_close(acts.clone(), expected.clone(), rtol=1e-4, atol=1e-4)


def test_batches_are_tokens_with_or_without_a_mask():
    mask = torch.ones(2, SEQ, dtype=torch.bool)
    for whole in (TOKENS[:2], (TOKENS[:2], None), (TOKENS[:2], mask), Batch(TOKENS[:2], mask)):
        assert read_batch(whole)[1] is None  # nothing is padding
    mask[1, 4:] = False
    for part in ((TOKENS[:2], mask), (TOKENS[:2], mask.int()), Batch(TOKENS[:2], mask)):
        torch.testing.assert_close(read_batch(part)[1], mask)
    with pytest.raises(ShapeError, match=r"token ids with the axes 'batch seq': got str\. .* let TextBatches do it"):
        read_batch("Mary gave")
    with pytest.raises(ShapeError, match=r"got shape \(2, 7\) of torch.float32"):
        read_batch(TOKENS[:2].float())


HOLE = torch.tensor([[1, 0, 1, 1, 1, 1, 1]] * 2)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (HOLE, "must stand side by side: got padding between them in row 0"),
        (HOLE[:1], r"here \(2, 7\): got a tensor of shape \(1, 7\)"),
        (HOLE[:, 1:], r"here \(2, 7\): got a tensor of shape \(2, 6\)"),
        (HOLE.float(), "must hold booleans or whole numbers"),
        (HOLE.tolist(), "must be a tensor with the tokens' axes 'batch seq': got list"),
    ],
)
def test_a_mask_that_does_not_belong_to_the_tokens_is_refused(mask, message):
    with pytest.raises(ArenaError, match=message):
        read_batch((TOKENS[:2], mask))


def test_a_mask_with_a_hole_is_refused_wherever_it_is_passed():
    model, tokens, name = make_model(), TOKENS[:2], "blocks.1.hook_resid_post"
    sae = make_sae("topk", d_in=model.cfg.d_model, d_sae=12, settings={"k": 2})
    for use in (
        lambda: ActivationReader(model, name).read(tokens, HOLE),
        lambda: ActivationStore(model, name, lambda generator: (tokens, HOLE))(torch.Generator()),
        lambda: evaluate_sae(model, sae, tokens, name, attention_mask=HOLE),
        lambda: run_with_sae(model, sae, tokens, name, attention_mask=HOLE),
    ):
        with pytest.raises(ShapeError, match="padding between them in row 0"):
            use()


def test_a_hook_that_is_not_there_is_refused():
    with pytest.raises(UnknownNameError, match=r"no hook is called 'blocks\.1\.hook_resid_pst'"):
        ActivationReader(make_model(), "blocks.1.hook_resid_pst")
    with pytest.raises(ConfigError, match="needs the names of hooks"):
        ActivationReader(make_model(), "")
