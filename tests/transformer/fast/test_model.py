"""The forward pass of all forms: where it starts and stops, a KV cache, weights, and what it refuses."""

import copy
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from arena_lib.errors import CheckpointError, ConfigError, DtypeError, ShapeError, TokenError, UnknownNameError
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.kv_cache import KVCache

# -- where it starts and stops ------------------------------------------------------------------


def test_a_pass_can_stop_and_go_on(any_model: Transformer, tokens: torch.Tensor) -> None:
    logits = any_model(tokens)
    for layer in range(any_model.cfg.n_layers + 1):
        resid = any_model(tokens, stop_at_layer=layer)
        assert resid.shape == (3, 7, any_model.cfg.d_model)
        torch.testing.assert_close(any_model(resid, start_at_layer=layer), logits)
    last = any_model.cfg.n_layers - 1
    assert torch.equal(any_model(tokens, stop_at_layer=-1), any_model(tokens, stop_at_layer=last))
    middle = any_model(any_model(tokens, stop_at_layer=0), start_at_layer=0, stop_at_layer=1)
    assert torch.equal(middle, any_model(tokens, stop_at_layer=1))


def test_only_the_last_position_can_be_unembedded(any_model: Transformer, tokens: torch.Tensor) -> None:
    torch.testing.assert_close(any_model(tokens, last_only=True), any_model(tokens)[:, -1:])


def test_int32_tokens_work(any_model: Transformer, tokens: torch.Tensor) -> None:
    assert torch.equal(any_model(tokens.int()), any_model(tokens))


def test_the_future_does_not_matter(any_model: Transformer, tokens: torch.Tensor) -> None:
    changed = tokens.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 37
    before, after = any_model(tokens), any_model(changed)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert not torch.allclose(after[:, 4:], before[:, 4:])


# -- gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "mlp_weight"), [("gpt2", "W_in"), ("llama", "W_gate")])
def test_gradients_are_those_of_the_lesson_form(
    form: str,
    mlp_weight: str,
    make_random: Callable[..., Transformer],
    lesson_form: Callable[[Transformer], torch.nn.Module],
    tokens: torch.Tensor,
) -> None:
    fast = make_random(form)
    plain = lesson_form(fast)
    fast(tokens).pow(2).mean().backward()
    plain(tokens).pow(2).mean().backward()
    for ours, theirs in zip(fast.blocks, plain.blocks, strict=True):
        q, k, v = ours.attn.split(ours.attn.W_QKV.grad)
        torch.testing.assert_close(q.movedim(1, 0), theirs.attn.W_Q.grad)
        torch.testing.assert_close(k.movedim(1, 0), theirs.attn.W_K.grad)
        torch.testing.assert_close(v.movedim(1, 0), theirs.attn.W_V.grad)
        torch.testing.assert_close(getattr(ours.mlp, mlp_weight).grad, getattr(theirs.mlp, mlp_weight).grad)
    torch.testing.assert_close(fast.embed.W_E.grad, plain.embed.W_E.grad)


def test_a_training_step_runs_under_bfloat16_autocast(any_model: Transformer, tokens: torch.Tensor) -> None:
    model = any_model.float()
    with torch.autocast("cpu", torch.bfloat16):
        model(tokens).float().pow(2).mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


# -- KV cache -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[7], [3, 4], [5, 1, 1], [1] * 7])
def test_reading_in_pieces_gives_the_same_logits(
    any_model: Transformer, tokens: torch.Tensor, pieces: list[int]
) -> None:
    kv_cache = KVCache(any_model.cfg.n_layers)
    with torch.no_grad():
        logits = torch.cat([any_model(part, kv_cache=kv_cache) for part in tokens.split(pieces, dim=1)], dim=1)
        torch.testing.assert_close(logits, any_model(tokens))
    n_kv_heads = getattr(any_model.cfg, "n_kv_heads", any_model.cfg.n_heads)
    assert kv_cache.keys[0].shape == (3, 7, n_kv_heads, any_model.cfg.d_head)


def test_hooks_see_scores_of_all_cached_keys(any_model: Transformer, tokens: torch.Tensor) -> None:
    shapes = []
    kv_cache = KVCache(any_model.cfg.n_layers)
    any_model(tokens[:, :5], kv_cache=kv_cache)
    with any_model.hooks([("blocks.0.attn.hook_pattern", lambda tensor, hook: shapes.append(tensor.shape))]):
        logits = any_model(tokens[:, 5:], kv_cache=kv_cache)
    assert shapes == [(3, any_model.cfg.n_heads, 2, 7)]
    torch.testing.assert_close(logits, any_model(tokens)[:, 5:])


def test_cached_positions_count_towards_n_ctx(any_model: Transformer, tokens: torch.Tensor) -> None:
    kv_cache = KVCache(any_model.cfg.n_layers)
    any_model(tokens, kv_cache=kv_cache)
    with pytest.raises(TokenError, match=r"at most 11 positions \(n_ctx\): got 14"):
        any_model(tokens, kv_cache=kv_cache)


# -- what it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-1, 37])
def test_ids_outside_the_vocabulary(any_model: Transformer, tokens: torch.Tensor, wrong: int) -> None:
    tokens[1, 2] = wrong
    with pytest.raises(TokenError, match=rf"token ids must be between 0 and 36 \(d_vocab - 1\): got {wrong}\."):
        any_model(tokens)


def test_sequences_longer_than_n_ctx(any_model: Transformer) -> None:
    any_model(torch.zeros(2, 11, dtype=torch.int64))
    with pytest.raises(TokenError, match=r"may have at most 11 positions \(n_ctx\): got 12\. Shorten it"):
        any_model(torch.zeros(2, 12, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.int16, torch.uint8, torch.bool])
def test_tokens_of_the_wrong_dtype(any_model: Transformer, dtype: torch.dtype) -> None:
    with pytest.raises(Exception, match=r"token ids must be int64 or int32: got torch\.|Type-check error") as caught:
        any_model.check_input(torch.zeros(2, 3, dtype=dtype))
    assert isinstance(caught.value, DtypeError)


def test_float_tokens_are_refused_unless_a_layer_is_given(any_model: Transformer) -> None:
    with pytest.raises(DtypeError, match=r"got torch.float32\. Use tokens.long\(\), or pass start_at_layer"):
        any_model.check_input(torch.zeros(2, 3))


def test_a_single_sequence_needs_a_batch_axis(any_model: Transformer, tokens: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"must have the axes 'batch seq': got a tensor of shape \(7,\)"):
        any_model.check_input(tokens[0])
    with pytest.raises(ShapeError, match=r"must have the axes 'batch seq d_model': got a tensor of shape \(3, 7\)"):
        any_model(tokens, start_at_layer=1)


@pytest.mark.parametrize("name", ["start_at_layer", "stop_at_layer"])
def test_layers_that_do_not_exist(any_model: Transformer, tokens: torch.Tensor, name: str) -> None:
    beyond = any_model.cfg.n_layers + 1
    for wrong in (beyond, -beyond):
        with pytest.raises(UnknownNameError, match=f"no layer is called '{wrong}'"):
            any_model(tokens, **{name: wrong})


# -- weights ------------------------------------------------------------------------------------


def test_state_dicts_round_trip_by_per_head_names(any_model: Transformer, tokens: torch.Tensor) -> None:
    state = any_model.state_dict()
    assert not any("QKV" in name for name in state)
    other = type(any_model)(any_model.cfg).double()
    other.load_state_dict(state)
    assert torch.equal(other(tokens), any_model(tokens))


def test_a_state_dict_of_another_config_is_refused(make_random: Callable[..., Transformer]) -> None:
    small, large = make_random("gpt2"), make_random("gpt2", n_layers=3)
    with pytest.raises(CheckpointError, match=r"(?s)does not fit GPT2Config\(.*Missing key.*blocks\.2"):
        large.load_state_dict(small.state_dict())
    with pytest.raises(CheckpointError, match=r"(?s)Unexpected key.*blocks\.2"):
        small.load_state_dict(large.state_dict())
    with pytest.raises(CheckpointError, match=r"size mismatch for blocks\.0\.attn\.W_Q"):
        make_random("gpt2", n_heads=2).load_state_dict(small.state_dict())
    with pytest.raises(ConfigError, match="assign must be False"):
        small.load_state_dict(small.state_dict(), assign=True)


def test_weights_are_drawn_from_the_generator_alone(any_model: Transformer) -> None:
    form, cfg = type(any_model), any_model.cfg
    state = torch.get_rng_state()
    first = form(cfg, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)
    second = form(cfg, generator=torch.Generator().manual_seed(3))
    third = form(cfg, generator=torch.Generator().manual_seed(4))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.embed.W_E, third.embed.W_E)


def test_weights_start_at_the_configs_scale() -> None:
    cfg = GPT2Config(d_model=64, d_vocab=300, n_ctx=50, n_layers=2, n_heads=4, d_head=24, d_mlp=100, init_range=0.3)
    model = GPT2(cfg, generator=torch.Generator().manual_seed(0))
    block = model.blocks[1]
    for weight in (model.embed.W_E, model.pos_embed.W_pos, block.attn.W_QKV, block.mlp.W_in, model.unembed.W_U):
        assert weight.std().item() == pytest.approx(0.3, rel=0.05)
    for weight in (block.attn.W_O, block.mlp.W_out):
        assert weight.std().item() == pytest.approx(0.3 / 4**0.5, rel=0.05)
    assert block.attn.b_QKV.abs().sum() == 0
    assert torch.equal(block.ln1.w, torch.ones(64))


def test_a_copy_shares_nothing(any_model: Transformer, tokens: torch.Tensor) -> None:
    before = any_model(tokens)
    twin = copy.deepcopy(any_model)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(any_model(tokens), before)
    assert not torch.equal(twin(tokens), before)


COMPILED = """
import torch
from arena_lib.transformer import GPT2, AttentionOnly, AttentionOnlyConfig, GPT2Config, Llama, LlamaConfig

sizes = dict(d_model=12, d_vocab=37, n_ctx=11, n_layers=2, n_heads=2, d_head=6)
tokens = torch.randint(0, 37, (3, 7))
mask = torch.ones(3, 7, dtype=torch.bool)
mask[1, :3] = False
for model in (
    GPT2(GPT2Config(**sizes, d_mlp=9)),
    Llama(LlamaConfig(**sizes, d_mlp=9, n_kv_heads=1)),
    AttentionOnly(AttentionOnlyConfig(**sizes)),
):
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(tokens), model(tokens))
    padded = compiled(tokens, attention_mask=mask)
    torch.testing.assert_close(padded[mask], model(tokens, attention_mask=mask)[mask])
"""


def test_a_compiled_pass_has_no_graph_break() -> None:
    """In a process of its own: the type checks of this test run are themselves graph breaks."""
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=120)


@pytest.mark.usefixtures("without_types")
@pytest.mark.parametrize("run", ["forward", "run_with_cache", "run_with_hooks"])
def test_what_is_neither_text_nor_tensor_is_refused(any_model: Transformer, run: str) -> None:
    for given in ([1, 2, 3], 5, ["Tina", 3]):
        with pytest.raises(
            DtypeError, match=r"must be a text, a list of texts or a tensor of token ids: got (list|int)"
        ):
            getattr(any_model, run)(given)
    with pytest.raises(ConfigError, match="text needs a tokenizer: got a model without one"):
        getattr(any_model, run)("Tina gave")


def test_a_run_that_stops_before_it_starts_is_refused(any_model: Transformer, tokens: torch.Tensor) -> None:
    resid = any_model(tokens, stop_at_layer=1)
    with pytest.raises(ConfigError, match="got start_at_layer 2 and stop_at_layer 1"):
        any_model(resid, start_at_layer=2, stop_at_layer=1)
    with pytest.raises(ConfigError, match="got start_at_layer -1 and stop_at_layer 0"):
        any_model.run_with_hooks(resid, start_at_layer=-1, stop_at_layer=0)
    assert torch.equal(any_model(resid, start_at_layer=1, stop_at_layer=1), resid)


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(any_model: Transformer, tokens: torch.Tensor) -> None:
    n_layers = any_model.cfg.n_layers
    with pytest.raises(UnknownNameError, match=f"'9'.*{n_layers}"):
        any_model(tokens, stop_at_layer=9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("without_types")
def test_an_exported_model_takes_other_lengths(any_model: Transformer, tokens: torch.Tensor) -> None:
    lengths = torch.export.Dim("seq", min=2, max=any_model.cfg.n_ctx - 1)
    exported = torch.export.export(any_model, (tokens,), dynamic_shapes={"tokens": {1: lengths}}).module()
    for seq in (2, 4, 10):
        shorter = tokens.repeat(1, 2)[:, :seq]
        torch.testing.assert_close(exported(shorter), any_model(shorter))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("without_types")
def test_a_traced_model_takes_other_lengths(any_model: Transformer, tokens: torch.Tensor) -> None:
    traced = torch.jit.trace(any_model, (tokens,))
    torch.testing.assert_close(traced(tokens[:, :4]), any_model(tokens[:, :4]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("without_types")
def test_the_model_may_be_mapped_over_texts_and_over_weights(any_model: Transformer, tokens: torch.Tensor) -> None:
    by_text = torch.vmap(lambda text: any_model(text[None])[0])(tokens)
    torch.testing.assert_close(by_text, any_model(tokens))
    weights = {name: torch.stack([weight, 2 * weight]).detach() for name, weight in any_model.named_parameters()}
    both = torch.vmap(lambda weights: torch.func.functional_call(any_model, weights, (tokens,)))(weights)
    torch.testing.assert_close(both[0], any_model(tokens))
