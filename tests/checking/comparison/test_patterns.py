import re

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arena_lib.checking.comparison.arrays import Tolerance, agree, tolerance_for
from arena_lib.checking.comparison.patterns import find_pattern

ATTENTION = "batch n_heads seq_q seq_k"


def numbers(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def changed(tensor: torch.Tensor, index, value) -> torch.Tensor:
    """A copy with `value` (or a function of what stands there) at the index."""
    copy = tensor.clone()
    copy[index] = value(copy[index]) if callable(value) else value
    return copy


E = numbers(2, 5, 7)
SQUARE = numbers(2, 3, 5, 5)
FUTURE = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
MASKED = SQUARE.masked_fill(FUTURE, -torch.inf)
IDS = torch.arange(24).reshape(2, 12) * 7 % 23

CASES = {
    "every entry is 2.83 times the expected one": (E * 8**0.5, E, "batch seq d_model"),
    "every entry is 0.125 times the expected one": (E / 8, E, "batch seq d_model"),
    "every entry is -2 times the expected one": (E * -2, E, "batch seq d_model"),
    "every entry is 1.001 times the expected one": (E * 1.001, E, "batch seq d_model"),
    "every entry is 3 times the expected one": (MASKED * 3, MASKED, ATTENTION),
    "every entry is 0.5 too large": (E + 0.5, E, "batch seq d_model"),
    "every entry is 1 too small": (IDS - 1, IDS, "batch seq"),
    "every entry is 0.25 too small": (MASKED - 0.25, MASKED, ATTENTION),
    "the sign is wrong everywhere": (-E, E, "batch seq d_model"),
    "the sign is wrong": (torch.tensor(-0.5), torch.tensor(0.5), ""),
    "every entry is 0": (torch.zeros(2, 5, 7), E, "batch seq d_model"),
    "every entry is nan": (E * torch.nan, E, "batch seq d_model"),
    "every entry is 0.2": (torch.full((2, 5), 0.2), numbers(2, 5), "batch seq"),
    "every entry is 2 where it should be 1": (torch.full((2, 5), 2.0), torch.ones(2, 5), "batch seq"),
    "the axes seq_q and seq_k are swapped": (SQUARE.mT, SQUARE, ATTENTION),
    "the axes n_heads and seq are swapped": (numbers(2, 3, 3).mT, numbers(2, 3, 3), "batch n_heads seq"),
    "the axes 1 and 2 are swapped": (numbers(2, 3, 3).mT, numbers(2, 3, 3), ""),
    "the numbers are right but stand in the order of seq and d_model swapped: "
    "a reshape where the axes should be rearranged": (E.mT.reshape(2, 5, 7), E, "batch seq d_model"),
    "shifted by one along seq: entry i holds what belongs to i - 1": (E.roll(1, 1), E, "batch seq d_model"),
    "shifted by one along seq: entry i holds what belongs to i + 1": (IDS.roll(-1, 1), IDS, "batch seq"),
    "the order along d_model is reversed": (E.flip(2), E, "batch seq d_model"),
    "the values are rounded to bfloat16": (E.bfloat16().float(), E, "batch seq d_model"),
    "the values are rounded to float16": (numbers(40, 7).half().float(), numbers(40, 7), "seq d_model"),
    "the values are rounded to float32": (E.double().float().double(), numbers(2, 5, 7, dtype=torch.float64), ""),
    "every entry is inverted: True where it should be False, and the reverse": (~FUTURE, FUTURE, "seq_q seq_k"),
    "only at positions 3, 4": (changed(E, np.s_[:, 3:], lambda x: x**2), E, "batch seq d_model"),
    "only at the last position (position 4)": (changed(E, np.s_[:, 4], lambda x: x**2), E, "batch seq d_model"),
    "only at the first position (position 0)": (changed(E, np.s_[:, 0], lambda x: x**2), E, "batch seq d_model"),
    "nothing is wrong at position 0": (changed(E, np.s_[:, 1:], lambda x: x**2), E, "batch seq d_model"),
    "nothing is wrong at the last position (position 4)": (
        changed(E, np.s_[:, :4], lambda x: x**2),
        E,
        "batch seq d_model",
    ),
    "only at batch = 1": (changed(E, np.s_[1], lambda x: x**2), E, "batch seq d_model"),
    "only at batch = 1 and position 2": (changed(E, np.s_[1, 2], lambda x: x**2), E, "batch seq d_model"),
    "only at d_model = 0, 2, 4, 6": (changed(E, np.s_[..., ::2], lambda x: x**2), E, "batch seq d_model"),
    "only at d_head = 1, 3, 5 and so on to 9; there the sign is wrong everywhere": (
        changed(numbers(2, 10), np.s_[:, 1::2], lambda x: -x),
        numbers(2, 10),
        "seq d_head",
    ),
    "only at positions 2 to 8; there every entry is 2 times the expected one": (
        changed(numbers(3, 11), np.s_[:, 2:9], lambda x: 2 * x),
        numbers(3, 11),
        "batch seq",
    ),
    "only at positions 3, 4; there every entry is 0": (changed(E, np.s_[:, 3:], 0.0), E, "batch seq d_model"),
    "only positions after the query (seq_k > seq_q), always -1e+09 instead of -inf": (
        SQUARE.masked_fill(FUTURE, -1e9),
        MASKED,
        ATTENTION,
    ),
    "only positions after the query (seq_k > seq_q)": (SQUARE, MASKED, ATTENTION),
    "only positions before the query (seq_k < seq_q); there every entry is 0": (
        SQUARE.masked_fill(FUTURE.T, 0),
        SQUARE,
        ATTENTION,
    ),
    "only on the diagonal (seq_k = seq_q); there every entry is -inf": (
        SQUARE.masked_fill(~FUTURE.T, -torch.inf),
        MASKED,
        ATTENTION,
    ),
    "only where seq_k = seq_q + 1": (SQUARE.masked_fill(FUTURE.triu(2), -torch.inf), MASKED, ATTENTION),
    "nothing is wrong on the diagonal (seq_k = seq_q)": (SQUARE.masked_fill(FUTURE.T, -torch.inf), MASKED, ATTENTION),
    "only on the diagonal of axis 0 and axis 1, always 0 instead of 1": (
        numbers(4, 4).fill_diagonal_(0),
        numbers(4, 4).fill_diagonal_(1),
        "",
    ),
    "only above the diagonal (in_j > in_i)": (
        changed(numbers(6, 6), torch.triu(torch.ones(6, 6), 1).bool(), lambda x: x**2),
        numbers(6, 6),
        "in_i in_j",
    ),
    "off by an amount that depends on d_model only": (E + numbers(7, seed=1), E, "batch seq d_model"),
    "off by an amount that depends on batch, seq only": (E - E.logsumexp(2, keepdim=True), E, "batch seq d_model"),
    "off by a factor that depends on d_model only": (E * numbers(7, seed=1), E, "batch seq d_model"),
    "off by a factor that depends on batch, seq only": (
        E / E.norm(dim=2, keepdim=True),
        E,
        "batch seq d_model",
    ),
    "close: no wrong entry is more than 0.1 % off": (
        E * (1 + 0.001 * torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(1))),
        E,
        "batch seq d_model",
    ),
    "it is 4 times too large": (torch.tensor(10.8), torch.tensor(2.7), ""),
    "it is 12 times too small": (torch.tensor(-0.125), torch.tensor(-1.5), ""),
}


@pytest.mark.parametrize("pattern", CASES)
def test_pattern(pattern):
    actual, expected, axes = CASES[pattern]
    assert find_pattern(actual, expected, axes) == pattern


UNSAID = {
    "unrelated values": (numbers(2, 5, 7, seed=1), E),
    "an amount that depends on every axis": (E + numbers(2, 5, 7, seed=1), E),
    "an amount for groups of two": (numbers(2, 5) + numbers(5, seed=1), numbers(2, 5)),
    "two entries at one position": (changed(E, np.s_[0, 3, 1:3], 9.0), E),
    "one entry": (changed(E, np.s_[1, 2, 3], 9.0), E),
    "one of two numbers": (torch.tensor([1.0, 5.0]), torch.tensor([1.0, 2.0])),
    "three scattered entries": (changed(numbers(6, 8), ([0, 2, 5], [6, 1, 3]), 9.0), numbers(6, 8)),
    "a factor of two numbers": (torch.tensor([2.0, 4.0]), torch.tensor([1.0, 2.0])),
    "a factor of a scalar": (torch.tensor(2.0), torch.tensor(1.0)),
    "a number and a half of it more": (torch.tensor(4.05), torch.tensor(2.7)),
    "a number near a multiple": (torch.tensor(10.81), torch.tensor(2.7)),
    "a multiple of zero": (torch.tensor(0.3), torch.tensor(0.0)),
    "a multiple of the opposite sign": (torch.tensor(-10.8), torch.tensor(2.7)),
    "a multiple beyond what a sum explains": (torch.tensor(2700.5), torch.tensor(0.3)),
    "factor or offset of equal numbers": (torch.tensor([2.0, 2.0, 2.0, 2.1]), torch.ones(4)),
    "a factor but for one entry": (changed(E * 2, np.s_[0, 0, 0], 9.0), E),
    "a factor with another infinity": (torch.tensor([2.0, 4.0, 6.0, 1.0]), torch.tensor([1.0, 2.0, 3.0, torch.inf])),
    "two positions swapped": (torch.tensor([2.0, 1.0]), torch.tensor([1.0, 2.0])),
    "other shapes": (torch.ones(2, 3), torch.ones(3, 2)),
    "no entries": (torch.ones(0, 3), torch.ones(0, 3)),
    "no values": (torch.ones(2, 3, device="meta"), torch.ones(2, 3)),
}


@pytest.mark.parametrize("case", UNSAID)
def test_nothing_is_said_of(case):
    actual, expected = UNSAID[case]
    assert find_pattern(actual, expected, "batch seq d_model") is None


def test_a_factor_needs_entries_that_carry_it():
    expected = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    assert "times" not in (find_pattern(expected * 2, expected, "seq") or "")


@pytest.mark.parametrize("actual", [E * 1.000105, E + 1.5e-5])
def test_what_is_said_of_every_entry_agrees_with_the_count_of_wrong_ones(actual):
    assert 0 < int((~agree(actual.numpy(), E.numpy(), tolerance_for(E.dtype))).sum()) < E.numel() / 2
    pattern = find_pattern(actual, E, "batch seq d_model") or ""
    assert "every" not in pattern
    assert "off by" not in pattern


def test_a_shift_needs_entries_that_carry_it():
    expected = torch.tensor([0, 0, 0, 1, 0, 0, 0])
    assert "shifted" not in (find_pattern(expected.roll(1), expected, "seq") or "")


def test_a_factor_must_hold_to_tolerance():
    nearly = E * 2 + 0.004 * E.flip(0)
    assert find_pattern(nearly, E, "batch seq d_model") is None
    loose = Tolerance(rtol=0.02, atol=0.02)
    assert find_pattern(nearly, E, "batch seq d_model", loose) == "every entry is 2 times the expected one"


@pytest.mark.parametrize(("n_heavy", "is_claimed"), [(2, False), (3, True)])
def test_a_factor_must_be_carried_by_three_entries_far_above_the_tolerance(n_heavy, is_claimed):
    expected = torch.cat([numbers(n_heavy) + 3, 1e-6 * numbers(15, seed=1)])
    pattern = find_pattern(expected * 1.7, expected, "seq", Tolerance(rtol=1e-5, atol=1e-5))
    assert (pattern == "every entry is 1.7 times the expected one") == is_claimed


def test_numpy_arrays_and_tuples_of_axes_are_taken():
    assert find_pattern(E.numpy() * 3, E.numpy(), ("batch", "seq", "d_model"), tolerance_for(torch.float32)) == (
        "every entry is 3 times the expected one"
    )


AXES = ("batch", "seq_q", "seq_k")


def _place_holds(claim: str, wrong: np.ndarray) -> bool:
    """Reads the words of a place, and looks for a wrong entry outside it."""
    index = dict(zip(AXES, np.indices(wrong.shape), strict=True))
    q, k = index["seq_q"], index["seq_k"]
    relations = {
        "(seq_k > seq_q)": k > q,
        "(seq_k < seq_q)": k < q,
        "(seq_k <= seq_q)": k <= q,
        "(seq_k >= seq_q)": k >= q,
        "only on the diagonal (seq_k = seq_q)": k == q,
        "nothing is wrong on the diagonal (seq_k = seq_q)": k != q,
        "only where seq_k = seq_q + 1": k == q + 1,
        "only where seq_k = seq_q - 1": k == q - 1,
    }
    for words, region in relations.items():
        if words in claim:
            return not wrong[~region].any()
    region = np.ones(wrong.shape, dtype=bool)
    for axis, low, high in re.findall(r"(\w+) from (\d+) to (\d+)", claim):
        region &= (index[axis] >= int(low)) & (index[axis] <= int(high))
    for axis, listed in re.findall(r"(\w+) = ([\d, ]+\d|\d)", claim):
        region &= np.isin(index[axis], [int(i) for i in listed.split(",")])
    assert not region.all(), f"could not read {claim!r}"
    return not wrong[~region if not claim.startswith("nothing is wrong ") else region].any()


def _relation_holds(claim: str, actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> bool:
    """Recomputes what is said of the values, with no more than the words to go by."""
    rough = Tolerance(rtol=0.006 + tolerance.rtol, atol=4 * tolerance.atol)
    if match := re.fullmatch(r"every entry is (\S+) times the expected one", claim):
        return bool(agree(actual, expected * float(match[1]), rough).all())
    if match := re.fullmatch(r"every entry is (\S+) too (large|small)", claim):
        offset = float(match[1]) * (1 if match[2] == "large" else -1)
        slack = Tolerance(rtol=rough.rtol, atol=rough.atol + 0.006 * abs(offset))
        return bool(agree(actual, expected + offset, slack).all())
    if match := re.fullmatch(r"every entry is (\S+?)( where it should be (\S+))?", claim):
        fits = agree(actual, np.full_like(actual, float(match[1])), Tolerance(1e-3, 0.0)).all()
        return bool(fits and (not match[3] or agree(expected, np.full_like(actual, float(match[3])), rough).all()))
    if claim.startswith("the sign is wrong"):
        return bool(agree(actual, -expected, tolerance).all())
    if match := re.fullmatch(r"it is (\d+) times too (large|small)", claim):
        factor = float(match[1]) if match[2] == "large" else 1 / float(match[1])
        return bool(agree(actual, factor * expected, rough).all())
    assert claim.startswith("always"), claim
    texts = re.fullmatch(r"always (\S+) instead of (\S+)", claim)
    pairs = zip((actual, expected), texts.groups(), strict=True)
    return all(agree(array, np.full_like(array, float(text)), Tolerance(1e-3, 0.0)).all() for array, text in pairs)


def _group_holds(kind: str, axes: str, actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> bool:
    """Within each group, every entry must be explained by one number (that of its median, say)."""
    others = tuple(i for i, axis in enumerate(AXES) if axis not in axes.split(", "))
    rough = Tolerance(rtol=2 * tolerance.rtol, atol=4 * tolerance.atol)
    if kind == "an amount":
        return bool(agree(actual, expected + np.median(actual - expected, axis=others, keepdims=True), rough).all())
    largest = np.abs(expected) == np.abs(expected).max(axis=others, keepdims=True)
    ratio = np.where(largest, actual / expected, np.nan)
    return bool(agree(actual, expected * np.nanmedian(ratio, axis=others, keepdims=True), rough).all())


def _order_holds(claim: str, actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> bool | None:
    if match := re.fullmatch(r"the axes (\w+) and (\w+) are swapped", claim):
        turned = np.swapaxes(expected, AXES.index(match[1]), AXES.index(match[2]))
        return turned.shape == actual.shape and bool(agree(actual, turned, tolerance).all())
    if match := re.match(r"the numbers are right but stand in the order of (\w+) and (\w+) swapped", claim):
        turned = np.swapaxes(expected, AXES.index(match[1]), AXES.index(match[2]))
        return bool(agree(actual, turned.reshape(actual.shape), tolerance).all())
    if match := re.fullmatch(r"the order along (\w+) is reversed", claim):
        return bool(agree(actual, np.flip(expected, AXES.index(match[1])), tolerance).all())
    if match := re.fullmatch(r"shifted by one along (\w+): entry i holds what belongs to i ([-+]) 1", claim):
        axis = AXES.index(match[1])
        given, source = np.moveaxis(actual, axis, 0), np.moveaxis(expected, axis, 0)
        pair = (given[1:], source[:-1]) if match[2] == "-" else (given[:-1], source[1:])
        return bool(agree(*pair, tolerance).all())
    if match := re.fullmatch(r"off by (an amount|a factor) that depends on (.*) only", claim):
        return _group_holds(match[1], match[2], actual, expected, tolerance)
    if match := re.fullmatch(r"close: no wrong entry is more than (\S+) % off", claim):
        wrong = ~agree(actual, expected, tolerance)
        return bool((np.abs(actual / expected - 1)[wrong] <= 1.05 * float(match[1]) / 100).all())
    if match := re.fullmatch(r"the values are rounded to (\w+)", claim):
        rounded = torch.from_numpy(expected).to(getattr(torch, match[1])).to(torch.float64).numpy()
        return bool((actual == rounded).all())
    return None


def _claim_holds(claim: str, actual: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> bool:
    if (known := _order_holds(claim, actual, expected, tolerance)) is not None:
        return known
    if not claim.startswith(("only", "nothing is wrong")):
        return _relation_holds(claim, actual, expected, tolerance)
    wrong = ~agree(actual, expected, tolerance)
    place, *detail = re.split(r"; (?:there|elsewhere) |, (?=always)", claim)
    values = actual[wrong], expected[wrong]
    return _place_holds(place, wrong) and all(_relation_holds(text, *values, tolerance) for text in detail)


@st.composite
def _pairs(draw):
    """Expected and actual values: a transformation, then perhaps some entries changed at random."""
    batch, seq_q = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    shape = (batch, seq_q, draw(st.sampled_from([seq_q, 3, 4])))
    few = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    expected = rng.choice([0.0, 1.0, 2.0, -1.0, np.inf], size=shape) if few else rng.normal(size=shape)
    transform = draw(
        st.sampled_from(
            [
                lambda x: x,
                lambda x: x * 2.8284,
                lambda x: -x,
                lambda x: x + 0.37,
                lambda x: np.roll(x, 1, axis=1),
                lambda x: np.roll(x, -1, axis=2),
                lambda x: x[::-1],
                lambda x: np.swapaxes(x, 1, 2).reshape(x.shape),
                lambda x: x * 1.004,
                lambda x: x.astype(np.float16).astype(np.float64),
                lambda x: x * rng.choice([1.0, 2.0], size=(1, x.shape[1], 1)),
                lambda x: x + rng.normal(size=(1, 1, x.shape[2])),
                lambda x: x * rng.normal(size=(x.shape[0], x.shape[1], 1)),
                lambda x: np.where(np.tri(x.shape[1], x.shape[2]) > 0, x, x + 1),
                lambda x: np.where(rng.random(x.shape) < 0.3, 0.0, x),
                lambda x: np.where(rng.random(x.shape) < 0.1, np.nan, x),
                lambda x: np.full_like(x, 3.0),
            ]
        )
    )
    with np.errstate(all="ignore"):
        actual = np.array(transform(expected))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        actual[tuple(rng.integers(0, size) for size in shape)] = rng.choice([0.0, 1.0, 5.0])
    return actual, expected


@settings(max_examples=600, deadline=None)
@given(_pairs())
@example((np.zeros((1, 3, 3)), np.eye(3)[None]))
def test_what_is_claimed_always_holds(pair):
    actual, expected = pair
    tolerance = Tolerance(rtol=1e-6, atol=1e-7)
    if agree(actual, expected, tolerance).all():
        return
    claim = find_pattern(actual, expected, AXES, tolerance)
    with np.errstate(all="ignore"):
        assert claim is None or _claim_holds(claim, actual, expected, tolerance), claim
