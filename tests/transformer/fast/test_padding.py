"""Texts of uneven length in one batch: each gets what it gets alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from arena_lib.errors import DtypeError, ShapeError, TokenError
from arena_lib.transformer.fast.generation import StaticKVCache, generate
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import count_places, last_real, pad_left, read_mask
from arena_lib.transformer.huggingface import to_huggingface
from arena_lib.transformer.kv_cache import KVCache
from arena_lib.transformer.sampling import SamplingConfig

LENGTHS = (4, 7, 1, 5)
N_BEFORE = {"left": (3, 0, 6, 2), "right": (0, 0, 0, 0), "both": (1, 0, 4, 0)}
"""For each side of the padding, how much of it stands before each text in a batch of seven positions."""
EXACT = {"rtol": 0, "atol": 1e-10}
TEXTS = [torch.randint(0, 37, (n,), generator=torch.Generator().manual_seed(n)) for n in LENGTHS]


def pad(side: str, texts: list[Tensor] = TEXTS, padding: int = 36) -> tuple[Tensor, Tensor]:
    tokens, mask = torch.full((len(texts), 7), padding), torch.zeros(len(texts), 7, dtype=torch.int64)
    for row, (text, start) in enumerate(zip(texts, N_BEFORE[side], strict=True)):
        tokens[row, start : start + len(text)] = text
        mask[row, start : start + len(text)] = 1
    return tokens, mask


sides = pytest.mark.parametrize("side", N_BEFORE)


@pytest.fixture(params=["all_kv_heads", "one_kv_head"])
def llama(request: pytest.FixtureRequest, make_random: Callable[..., Transformer]) -> Transformer:
    return make_random("llama", n_kv_heads={"all_kv_heads": 6, "one_kv_head": 1}[request.param])


def check_alone(model: Transformer, side: str) -> None:
    tokens, mask = pad(side)
    logits = model(tokens, attention_mask=mask)
    assert logits.isfinite().all()
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(logits[row, mask[row] == 1], model(text[None])[0], **EXACT)


@sides
def test_a_padded_text_gets_the_logits_that_it_gets_alone(any_model: Transformer, side: str) -> None:
    check_alone(any_model, side)


@sides
def test_so_it_does_with_shared_keys(llama: Transformer, side: str) -> None:
    check_alone(llama, side)


@sides
def test_so_it_does_with_hooks_on_everything(any_model: Transformer, side: str) -> None:
    any_model.add_hook(lambda name: True, lambda tensor, hook: tensor.clone())
    check_alone(any_model, side)


def of_text(name: str, tensor: Tensor, is_real: Tensor) -> Tensor:
    """The part of one row's activation that belongs to real tokens; patterns have positions twice, last."""
    return tensor[:, is_real][:, :, is_real] if name.endswith(("scores", "pattern")) else tensor[is_real]


@sides
@pytest.mark.parametrize("is_lazy", [True, False], ids=["made on first access", "made in the pass"])
def test_so_does_every_activation(any_model: Transformer, side: str, is_lazy: bool) -> None:
    tokens, mask = pad(side)
    names = None if is_lazy else list(any_model.hook_dict)
    _, cache = any_model.run_with_cache(tokens, names, attention_mask=mask)
    assert cache.attention_mask is not None
    assert torch.equal(cache.attention_mask, mask.bool())
    for row, text in enumerate(TEXTS):
        _, alone = any_model.run_with_cache(text[None], names)
        assert alone.attention_mask is None
        for name in cache:
            given, expected = of_text(name, cache[name][row], mask[row].bool()), alone[name][0]
            torch.testing.assert_close(given, expected, **EXACT, msg=lambda text, name=name: f"{name}: {text}")


@sides
def test_no_weight_is_on_padding_and_padding_sees_itself_alone(any_model: Transformer, side: str) -> None:
    tokens, mask = pad(side)
    is_real = mask.bool()
    is_visible = torch.ones(7, 7).tril().bool() & is_real[:, None] & is_real[:, :, None]
    expected = is_visible | torch.eye(7).bool()
    for names in (None, "blocks.1.attn.hook_pattern"):
        _, cache = any_model.run_with_cache(tokens, names, attention_mask=mask)
        pattern = cache["pattern", 1]
        assert torch.equal(pattern > 0, expected[:, None].expand_as(pattern))
    assert torch.equal(cache["pattern", 1].sum(dim=-1).round(decimals=9), torch.ones_like(pattern[..., 0]))
    _, cache = any_model.run_with_cache(tokens, attention_mask=mask)
    scores = cache["attn_scores", 0]
    assert torch.equal(scores.isneginf(), ~expected[:, None].expand_as(scores))


def test_what_stands_at_padding_reaches_nothing(any_model: Transformer) -> None:
    for side in N_BEFORE:
        tokens, mask = pad(side)
        logits = any_model(tokens, attention_mask=mask)
        others = any_model(pad(side, padding=3)[0], attention_mask=mask)
        assert torch.equal(logits[mask == 1], others[mask == 1])


def test_no_gradient_of_a_real_token_is_nan_or_comes_from_padding(any_model: Transformer) -> None:
    tokens, mask = pad("both")
    any_model.add_hook("blocks.0.attn.hook_pattern", lambda pattern, hook: None)
    logits, cache = any_model.run_with_cache(tokens, "hook_embed", attention_mask=mask)
    cache["embed"].retain_grad()
    logits[mask == 1].pow(2).sum().backward()
    gradient = cache["embed"].grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert not gradient[mask == 0].any()
    assert gradient[mask == 1].any()


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8])
def test_a_mask_of_ones_changes_no_bit(any_model: Transformer, tokens: Tensor, dtype: torch.dtype) -> None:
    mask = torch.ones(3, 7, dtype=dtype)
    plain = any_model(tokens)
    assert torch.equal(any_model(tokens, attention_mask=mask), plain)
    with torch.no_grad():
        logits, cache = any_model.run_with_cache(tokens, attention_mask=mask)
        _, expected = any_model.run_with_cache(tokens)
    assert torch.equal(logits, plain)
    assert all(torch.equal(cache[name], expected[name]) for name in expected)
    assert torch.equal(generate(any_model, tokens, 3, attention_mask=mask), generate(any_model, tokens, 3))


def test_resuming_at_a_layer_takes_the_mask_too(any_model: Transformer) -> None:
    for side in N_BEFORE:
        tokens, mask = pad(side)
        resid = any_model(tokens, stop_at_layer=1, attention_mask=mask)
        expected = any_model(tokens, attention_mask=mask)
        assert torch.equal(any_model(resid, start_at_layer=1, attention_mask=mask), expected)
        assert torch.equal(any_model.run_with_hooks(resid, start_at_layer=1, attention_mask=mask), expected)


@sides
@pytest.mark.parametrize("make_cache", [lambda n: StaticKVCache(n, 9), KVCache], ids=["static", "lesson"])
def test_reading_in_parts_gives_what_reading_at_once_does(
    any_model: Transformer, side: str, make_cache: Callable[[int], StaticKVCache | KVCache]
) -> None:
    tokens, mask = pad(side)
    expected = any_model(tokens, attention_mask=mask)
    for ends in ((2, 7), (1, 5, 6, 7), (6, 7)):
        cache = make_cache(any_model.cfg.n_layers)
        parts = [
            any_model(tokens[:, start:end], kv_cache=cache, attention_mask=mask[:, :end])
            for start, end in zip((0, *ends), ends, strict=False)
        ]
        assert cache.n_seen == 7
        torch.testing.assert_close(torch.cat(parts, dim=1)[mask == 1], expected[mask == 1], **EXACT)


@pytest.mark.parametrize("make_cache", [lambda n: StaticKVCache(n, 9), KVCache], ids=["static", "lesson"])
def test_a_call_that_forgets_the_mask_of_the_texts_held_is_refused(
    any_model: Transformer, make_cache: Callable[[int], StaticKVCache | KVCache]
) -> None:
    tokens, mask = pad("left")
    new, cache = torch.full((4, 1), 5), make_cache(any_model.cfg.n_layers)
    any_model(tokens, kv_cache=cache, attention_mask=mask)
    with pytest.raises(ShapeError, match=r"must go on covering the padded texts .* \(4, 7\) of it: got none"):
        any_model(new, kv_cache=cache)
    with pytest.raises(ShapeError, match="or only ones"):
        any_model(new, kv_cache=cache, attention_mask=torch.ones(4, 8).long())
    longer = torch.cat([mask, torch.ones_like(new)], dim=1)
    with pytest.raises(ShapeError, match=r"7 positions that the KV cache holds .* another in row 1"):
        any_model(new, kv_cache=cache, attention_mask=longer[[0, 0, 2, 3]])
    assert cache.n_seen == 7
    any_model(new, kv_cache=cache, attention_mask=longer)
    assert cache.n_seen == 8


def test_a_mask_that_pads_what_was_read_without_one_is_refused(any_model: Transformer) -> None:
    tokens, mask = pad("left")
    cache = KVCache(any_model.cfg.n_layers)
    any_model(tokens, kv_cache=cache)
    with pytest.raises(ShapeError, match="got another in row 0"):
        any_model(tokens[:, :1], kv_cache=cache, attention_mask=torch.cat([mask, mask.new_ones(4, 1)], dim=1))
    fresh = KVCache(any_model.cfg.n_layers)
    any_model(tokens, kv_cache=fresh, attention_mask=torch.ones_like(tokens))
    any_model(tokens[:, :1], kv_cache=fresh)


@sides
@pytest.mark.parametrize(
    "options", [SamplingConfig(temperature=0.0), SamplingConfig(temperature=0.0, frequency_penalty=1.5)], ids=str
)
def test_a_padded_prompt_goes_on_as_it_does_alone(any_model: Transformer, side: str, options: SamplingConfig) -> None:
    tokens, mask = pad(side)
    written = generate(any_model, tokens, 4, options, attention_mask=mask)
    assert written.shape == (4, 11)
    for row, text in enumerate(TEXTS):
        expected = generate(any_model, text[None], 4, options)[0]
        assert torch.equal(written[row, 7 - len(text) :], expected)
        assert (written[row, : 7 - len(text)] == 36).all()


def test_the_penalty_does_not_count_padding(any_model: Transformer) -> None:
    options = SamplingConfig(temperature=0.0, frequency_penalty=1e6)
    padding = int(generate(any_model, TEXTS[2][None], 1)[0, -1])
    tokens, mask = pad("left", padding=padding)
    assert generate(any_model, tokens, 1, options, attention_mask=mask)[2, -1] == padding


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_padded_texts_get_what_transformers_gives_them(make_random: Callable[..., Transformer], form: str) -> None:
    model = make_random(form)
    theirs = to_huggingface(model)
    tokens, mask = pad("left")
    position_ids = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with torch.no_grad():
        expected = theirs(tokens, attention_mask=mask, position_ids=position_ids).logits
        logits = model(tokens, attention_mask=mask)
    atol = {"gpt2": 1e-8, "llama": 1e-5}[form]  # transformers' RMSNorm computes in float32
    torch.testing.assert_close(logits[mask == 1], expected[mask == 1], rtol=0, atol=atol)


@sides
def test_the_last_logits_are_those_of_the_last_real_token(any_model: Transformer, side: str) -> None:
    tokens, mask = pad(side)
    last = any_model(tokens, attention_mask=mask, last_only=True)
    assert last.shape == (4, 1, 37)
    torch.testing.assert_close(last[:, 0], last_real(any_model(tokens, attention_mask=mask), mask), **EXACT)
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(last[row, 0], any_model(text[None])[0, -1], **EXACT)


def test_last_real_takes_whatever_stands_at_positions() -> None:
    numbers = torch.arange(10).reshape(2, 5)
    assert last_real(numbers).tolist() == [4, 9]
    assert last_real(numbers, torch.tensor([[0, 1, 1, 0, 0], [1, 1, 1, 1, 1]])).tolist() == [2, 9]
    assert last_real(numbers[..., None], torch.tensor([[True] + [False] * 4] * 2)).tolist() == [[0], [5]]
    with pytest.raises(ShapeError, match=r"what it picks from, \(2, 5\): got a tensor of shape \(2, 4\)"):
        last_real(numbers, torch.ones(2, 4, dtype=torch.bool))


def test_padding_moves_to_the_left() -> None:
    left, left_mask = pad("left")
    for side in N_BEFORE:
        tokens, mask = pad_left(*pad(side))
        assert torch.equal(tokens, left)
        assert torch.equal(mask, left_mask.bool())


def test_places_count_from_the_first_real_token() -> None:
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0], [0, 1, 0, 0]], dtype=torch.bool)
    assert count_places(mask).tolist() == [[0, 0, 0, 1], [0, 1, 2, 2], [0, 0, 0, 0]]


BAD_MASKS = {
    "shape": (torch.ones(2, 3, dtype=torch.int64), ShapeError, r"here \(2, 4\): got a tensor of shape \(2, 3\)"),
    "value": (torch.tensor([[1, 1, 1, 1], [0, 2, 1, 1]]), TokenError, "at padding: got 2"),
    "negative": (torch.tensor([[1, 1, 1, 1], [0, -1, 1, 1]]), TokenError, "at padding: got -1"),
    "empty": (torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]]), ShapeError, "got only padding in row 1"),
    "hole": (torch.tensor([[0, 1, 1, 0], [1, 0, 1, 1]]), ShapeError, "got padding between them in row 1"),
}


@pytest.mark.parametrize("case", BAD_MASKS)
def test_masks_that_cannot_work_are_refused(any_model: Transformer, case: str) -> None:
    mask, error, message = BAD_MASKS[case]
    tokens = torch.zeros(2, 4, dtype=torch.int64)
    with pytest.raises(error, match=message):
        any_model(tokens, attention_mask=mask)
    with pytest.raises(error, match=message):
        any_model.run_with_cache(tokens, attention_mask=mask)
    with pytest.raises(error, match=message):
        generate(any_model, tokens, 2, attention_mask=mask)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_a_mask_of_numbers_that_are_not_whole_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(DtypeError, match=f"attention_mask must hold booleans or whole numbers: got {dtype}"):
        read_mask(torch.ones(2, 4, dtype=dtype), 2, 4, torch.device("cpu"))


def test_a_row_may_be_empty_so_far() -> None:
    mask, cpu = torch.tensor([[0, 0], [0, 1]]), torch.device("cpu")
    assert torch.equal(read_mask(mask, 2, 2, cpu, is_whole=False), mask.bool())
    with pytest.raises(ShapeError, match="got only padding in row 0"):
        read_mask(mask, 2, 2, cpu)
