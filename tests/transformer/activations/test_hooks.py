"""Hook points, attaching by name, the table of names, and the rule for writing in place."""

import copy
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.transformer.activations import hooks
from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.fast.attention_only import AttentionOnly
from arena_lib.transformer.fast.llama import Llama
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import save_pretrained

ABSENT_FROM_ATTENTION_ONLY = {"hook_resid_mid", "hook_mlp_in", "hook_mlp_out"}
LACKED_BY_THE_BRIDGE: set[str] = set()
"""Names of the table that TransformerLens's bridge does not have."""


def names_in_table() -> set[str]:
    """Every name that the module's docstring lists, with layer 0 for L."""
    table = hooks.__doc__.split("Canonical names")[1].split("The attention-only form has")[0]
    found = set()
    for line in table.splitlines():
        matched = re.findall(r"(?:blocks\.L\.|ln_final\.|(?<=    ))[a-z0-9_.]*hook_\w+", line[:64])
        extra = re.search(r"hook_(?:rot_)?q(?:_input)? \((k(?:, v)?)\)", line)
        for name in matched:
            found.add(name.strip().replace(".L.", ".0."))
        if extra:
            for letter in extra.group(1).split(", "):
                swapped = re.sub(r"hook_(rot_)?q", rf"hook_\g<1>{letter}", matched[0].strip())
                found.add(swapped.replace(".L.", ".0."))
    return found


def known_names(model: Transformer) -> set[str]:
    return {name for name in model.hook_dict if not re.match(r"blocks\.[1-9]", name)}


def test_the_table_lists_every_hook_of_the_forms(make_random: Callable[..., Transformer]) -> None:
    listed = names_in_table()
    assert known_names(make_random("gpt2")) | known_names(make_random("llama")) == listed
    assert known_names(make_random("gpt2")) == {
        name for name in listed if "rot_" not in name and "pre_linear" not in name
    }
    assert known_names(make_random("llama")) == listed - {"hook_pos_embed"}
    absent = {name for name in listed if re.search(r"mlp|ln2|resid_mid|rot_", name)}
    assert known_names(make_random("attention_only")) == listed - absent


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_every_activation_is_the_bridges(
    form: str,
    make_random: Callable[..., Transformer],
    tokens: torch.Tensor,
    save_word_tokenizer: Callable[[Path, int], object],
    tmp_path: Path,
) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    model = make_random(form).float()
    save_word_tokenizer(save_pretrained(model, tmp_path), 37)
    bridge = TransformerBridge.boot_transformers(str(tmp_path), device="cpu", dtype=torch.float32)
    bridge.set_use_attn_result(True)
    bridge.set_use_hook_mlp_in(True)
    bridge.set_use_split_qkv_input(True)
    with torch.no_grad():
        logits, theirs = bridge.run_with_cache(tokens)
        output, derived = model.run_with_cache(tokens)
        _, made = model.run_with_cache(tokens, lambda name: name.endswith(("_input", "mlp_in")))
    torch.testing.assert_close(output, logits, rtol=1e-4, atol=1e-4)
    assert {name for name in known_names(model) if name not in theirs} == LACKED_BY_THE_BRIDGE
    for name in model.hook_dict:
        ours = made[name] if name in made else derived[name]
        is_unmasked = ours.isfinite()
        assert ours.shape == theirs[name].shape, name
        torch.testing.assert_close(ours[is_unmasked], theirs[name][is_unmasked], rtol=1e-4, atol=1e-4, msg=name)


# -- by name ------------------------------------------------------------------------------------


def test_an_unknown_name_offers_the_nearest(any_model: Transformer, tokens: torch.Tensor) -> None:
    with pytest.raises(UnknownNameError, match=r"no hook is called 'blocks.0.attn.hook_patern'. Did you mean 'blocks"):
        any_model.run_with_hooks(tokens, [("blocks.0.attn.hook_patern", lambda tensor, hook: None)])
    with pytest.raises(UnknownNameError, match="hook_resid_post"):
        any_model.run_with_cache(tokens, ["blocks.0.hook_resid_posts"])
    assert all(point.is_idle for point in any_model.hook_dict.values())


def test_hooks_by_a_test_of_names(any_model: Transformer, tokens: torch.Tensor) -> None:
    seen = []
    any_model.run_with_hooks(
        tokens, [(lambda name: name.endswith("hook_z"), lambda z, hook: seen.append(hook.layer()))]
    )
    assert seen == list(range(any_model.cfg.n_layers))


def test_hooks_leave_when_their_block_ends_also_by_an_exception(any_model: Transformer, tokens: torch.Tensor) -> None:
    def fail(tensor: torch.Tensor, hook: HookPoint) -> None:
        raise ZeroDivisionError

    kept = []
    any_model.add_hook("hook_embed", lambda tensor, hook: kept.append(1))
    with pytest.raises(ZeroDivisionError):
        any_model.run_with_hooks(tokens, [("hook_embed", fail)])
    any_model(tokens)
    assert len(kept) == 2


def test_reset_hooks_spares_permanent_ones(any_model: Transformer, tokens: torch.Tensor) -> None:
    calls = []
    any_model.add_hook("hook_embed", lambda tensor, hook: calls.append("passing"))
    any_model.add_perma_hook("hook_embed", lambda tensor, hook: calls.append("permanent"))
    any_model.hook_embed.ctx["note"] = 1
    any_model(tokens)
    any_model.reset_hooks()
    assert any_model.hook_embed.ctx == {}
    any_model(tokens)
    assert calls == ["passing", "permanent", "permanent"]
    any_model.reset_hooks(including_permanent=True)
    any_model(tokens)
    assert len(calls) == 3
    assert any_model.hook_embed.is_idle


def test_only_two_directions_exist(any_model: Transformer) -> None:
    with pytest.raises(Exception, match=r"dir must be 'fwd' or 'bwd'|Type-check"):
        any_model.add_hook("hook_embed", lambda tensor, hook: None, dir="sideways")  # type: ignore[arg-type]


def test_backward_hooks_fire_after_run_with_hooks_returned(any_model: Transformer, tokens: torch.Tensor) -> None:
    grads = {}
    logits = any_model.run_with_hooks(
        tokens, bwd_hooks=[("blocks.0.hook_resid_post", lambda grad, hook: grads.update({hook.name: grad}))]
    )
    logits.sum().backward()
    _, cache = any_model.run_with_cache(tokens, ["blocks.0.hook_resid_post"])
    output = any_model(cache["resid_post", 0], start_at_layer=1)
    (expected,) = torch.autograd.grad(output.sum(), cache["resid_post", 0])
    torch.testing.assert_close(grads["blocks.0.hook_resid_post"], expected)


def test_backward_hooks_on_the_pattern_see_its_gradient(any_model: Transformer, tokens: torch.Tensor) -> None:
    grads = {}
    spec = ("blocks.0.attn.hook_pattern", lambda grad, hook: grads.update({hook.name: grad}))
    any_model.run_with_hooks(tokens, bwd_hooks=[spec]).pow(2).sum().backward()
    assert grads["blocks.0.attn.hook_pattern"].abs().sum() > 0


def test_replacing_the_pattern_changes_z_accordingly(any_model: Transformer, tokens: torch.Tensor) -> None:
    def look_at_first(pattern: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        return torch.zeros_like(pattern).index_fill_(-1, torch.tensor([0]), 1.0)

    with any_model.hooks([("blocks.1.attn.hook_pattern", look_at_first)]):
        _, cache = any_model.run_with_cache(tokens)
    n_kv_heads = cache["v", 1].shape[2]
    first = cache["v", 1][:, :1].repeat_interleave(any_model.cfg.n_heads // n_kv_heads, dim=2)
    torch.testing.assert_close(cache["z", 1], first.expand_as(cache["z", 1]))
    assert torch.equal(cache["pattern", 1][..., 0], torch.ones_like(cache["pattern", 1][..., 0]))


def test_a_copied_model_has_hooks_of_its_own(any_model: Transformer, tokens: torch.Tensor) -> None:
    twin = copy.deepcopy(any_model)
    calls = []
    twin.add_hook("hook_embed", lambda tensor, hook: calls.append(1))
    any_model(tokens)
    assert calls == []
    with torch.no_grad():
        for block in twin.blocks:
            block.attn.W_O.zero_()
    _, cache = twin.run_with_cache(tokens)
    assert calls == [1]
    assert cache["result", 0].abs().sum() == 0


# -- writing in place ---------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_writing_into_one_of_q_k_v_leaves_the_others(any_model: Transformer, tokens: torch.Tensor, part: str) -> None:
    def zero(tensor: torch.Tensor, hook: HookPoint) -> None:
        tensor.zero_()

    with torch.no_grad():
        _, before = any_model.run_with_cache(tokens)
        with any_model.hooks([(f"blocks.0.attn.hook_{part}", zero)]):
            _, after = any_model.run_with_cache(tokens)
    for other in ("q", "k", "v"):
        if other == part:
            assert after[other, 0].abs().sum() == 0
        else:
            torch.testing.assert_close(after[other, 0], before[other, 0])


def test_writing_into_q_works_under_autograd(any_model: Transformer, tokens: torch.Tensor) -> None:
    def zero_first_head(q: torch.Tensor, hook: HookPoint) -> None:
        q[:, :, 0] = 0.0

    any_model.run_with_hooks(tokens, [("blocks.0.attn.hook_q", zero_first_head)]).pow(2).sum().backward()
    grad = any_model.blocks[0].attn.split(any_model.blocks[0].attn.W_QKV.grad)[0]
    assert grad[:, 0].abs().sum() == 0
    assert grad[:, 1].abs().sum() > 0


def test_torch_refuses_backward_through_an_overwritten_pattern(any_model: Transformer, tokens: torch.Tensor) -> None:
    def write(pattern: torch.Tensor, hook: HookPoint) -> None:
        pattern[:, 0] = 0.0

    logits = any_model.run_with_hooks(tokens, [("blocks.0.attn.hook_pattern", write)])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logits.sum().backward()


def test_a_write_is_read_by_all_that_follows(any_model: Transformer, tokens: torch.Tensor) -> None:
    def write(tensor: torch.Tensor, hook: HookPoint) -> None:
        tensor[:, 2] = 0.5

    def replace(tensor: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        return tensor.index_fill(1, torch.tensor([2]), 0.5)

    with torch.no_grad():
        for name in any_model.hook_dict:
            if not name.endswith(("scores", "hook_pattern", "hook_scale")):
                written = any_model.run_with_hooks(tokens, [(name, write)])
                torch.testing.assert_close(written, any_model.run_with_hooks(tokens, [(name, replace)]), msg=name)


def test_cached_names_share_memory_only_as_documented(any_model: Transformer, tokens: torch.Tensor) -> None:
    with torch.no_grad():
        _, cache = any_model.run_with_cache(tokens)
    entries: dict[int, str] = {}
    shared = set()
    for name in cache:
        address = cache[name].data_ptr()
        if address in entries:
            shared.add((entries[address], name))
        entries[address] = name
    expected = {
        (f"blocks.{layer_idx}.hook_resid_post", f"blocks.{layer_idx + 1}.hook_resid_pre")
        for layer_idx in range(any_model.cfg.n_layers - 1)
    }
    if isinstance(any_model, Llama | AttentionOnly):
        expected.add(("hook_embed", "blocks.0.hook_resid_pre"))
    assert {frozenset(pair) for pair in shared} == {frozenset(pair) for pair in expected}


def test_a_write_after_the_fact_shows_in_the_cache_but_a_replacement_does_not(
    any_model: Transformer, tokens: torch.Tensor
) -> None:
    name = "blocks.1.hook_resid_pre"
    with torch.no_grad():
        _, plain = any_model.run_with_cache(tokens)
        with any_model.hooks([(name, lambda tensor, hook: tensor.zero_())]):
            _, written = any_model.run_with_cache(tokens)
        with any_model.hooks([(name, lambda tensor, hook: torch.zeros_like(tensor))]):
            _, replaced = any_model.run_with_cache(tokens)
    assert written["resid_post", 0].abs().sum() == 0
    torch.testing.assert_close(replaced["resid_post", 0], plain["resid_post", 0])
    assert replaced["resid_pre", 1].abs().sum() == 0


# -- names --------------------------------------------------------------------------------------


def test_a_test_of_names_that_picks_nothing_is_refused(any_model: Transformer, tokens: torch.Tensor) -> None:
    hook = (lambda name: name.endswith("hook_patern"), lambda tensor, hook: None)
    says = rf"at least one: got one that is false for all {len(any_model.hook_dict)}\. They look like 'hook_embed'"
    with pytest.raises(ConfigError, match=says):
        any_model.run_with_hooks(tokens, [hook])
    with pytest.raises(ConfigError, match=says):
        any_model.run_with_hooks(tokens, bwd_hooks=[hook])
    with pytest.raises(ConfigError, match=says):
        any_model.add_hook(*hook)
    with pytest.raises(ConfigError, match=says):
        any_model.run_with_cache(tokens, hook[0])
