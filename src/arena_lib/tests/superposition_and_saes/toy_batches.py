"""Judge of a toy model's batches of sparse features, section 1.5.4.

Shapes:  batches "batch n_inst n_feats"
"""

from collections.abc import Callable, Sequence
from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations, n_positional
from arena_lib.saes.superposition import model
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.tests.superposition_and_saes.toy_model import build

__test__ = False

N_EXAMPLES = 20_000
"""In each batch whose statistics are looked at."""
SHARES, TOGETHER, LEVELS, SPREADS = (
    "share of examples in which each feature is present",
    "share of examples in which each two features are present together",
    "mean of each feature where it's present",
    "spread of each feature where it's present",
)
STATISTICS = {
    SHARES: Tolerance(rtol=0.0, atol=0.02),
    TOGETHER: Tolerance(rtol=0.0, atol=0.02),
    LEVELS: Tolerance(rtol=0.0, atol=0.04),
    SPREADS: Tolerance(rtol=0.0, atol=0.04),
}
"""Each limit is at least 5.6 times as far as chance moves a share (0.0035) or the mean of the rarest feature (0.0065) as a rule."""
AXES = dict.fromkeys((SHARES, LEVELS, SPREADS), "n_inst n_feats") | {TOGETHER: "feature other_feature"}
RANGE, EQUAL, ANEW, GLOBAL = (
    "smallest and largest magnitude, to one digit",
    "equal seeds give equal batches",
    "a second call draws anew",
    "torch's global random state is as before",
)


def statistics_cases(toy: type[ToyModel]) -> list[Case]:
    """Probabilities that differ by instance and feature, another range of magnitudes, pairs with and without others."""

    def case(label: str, probability: list[list[float]], **options: Any) -> Case:
        given = torch.tensor(probability)
        cfg = ToyModelConfig(n_inst=len(given), n_feats=given.shape[1], **options)
        call = f"{toy.__name__}(cfg, {probability}).generate_batch({N_EXAMPLES}, generator)"
        return Case(label=label, given={"cfg": cfg, "probability": given}, call=call, axes=AXES)

    pairs = {"n_correlated_pairs": 1, "n_anticorrelated_pairs": 1}
    return [
        case("two instances", [[0.1, 0.9, 0.5, 0.3], [0.7, 0.2, 0.4, 1.0]]),
        case("one instance, one feature", [[0.25]]),
        case("magnitude_low is 0.5, magnitude_high is 2", [[0.3, 0.8, 0.6]], magnitude_low=0.5, magnitude_high=2.0),
        case("one pair of each kind before the others", [[0.2, 0.2, 0.4, 0.4, 0.9, 0.6, 0.15]], **pairs),
        case("one pair of each kind, and no others", [[0.3, 0.3, 0.2, 0.2]], **pairs),
    ]


def batch_cases(generator: torch.Generator) -> list[Case]:
    """Those of `ToyModel`."""
    return statistics_cases(ToyModel)


def draw(toy: Any, batch_size: int, seed: int) -> Any:
    """A batch from a seed; an older form of the method takes no generator."""
    if n_positional(toy.generate_batch) < 2:
        torch.manual_seed(seed)
        return toy.generate_batch(batch_size)
    return toy.generate_batch(batch_size, torch.Generator().manual_seed(seed))


def describe_batch(batch: Any, shape: tuple[int, ...]) -> Observations:
    """Shape and dtype, then the statistics of a batch that has the right shape."""
    if not isinstance(batch, Tensor):
        raise Unfit(f"generate_batch must return a tensor: got {type(batch).__name__}. Return the features.")
    seen: Observations = {"shape": tuple(batch.shape), "dtype": batch.dtype}
    if tuple(batch.shape) != shape or not batch.is_floating_point():
        return seen
    is_present = batch != 0
    magnitudes = torch.where(is_present, batch, torch.nan)
    level, flat = magnitudes.nanmean(dim=0), is_present.flatten(1).float()
    sizes = batch.abs()[is_present]
    return seen | {
        SHARES: is_present.float().mean(dim=0),
        LEVELS: level,
        SPREADS: (magnitudes - level).square().nanmean(dim=0).sqrt(),
        RANGE: [round(float(sizes.min()), 1), round(float(sizes.max()), 1)],
        TOGETHER: einops.einsum(flat, flat, "batch i, batch j -> i j") / len(batch),
    }


def batches_seen(cls: Any, case: Case) -> Observations:
    """Statistics of a large batch, and where its draws come from."""
    toy: Any = build(cls, case)
    cfg, is_older = case.given["cfg"], n_positional(toy.generate_batch) < 2
    before = torch.get_rng_state()
    seen = describe_batch(draw(toy, N_EXAMPLES, seed=3), (N_EXAMPLES, cfg.n_inst, cfg.n_feats))
    is_as_before = is_older or torch.equal(before, torch.get_rng_state())
    again = [draw(toy, 50, seed=4) for _ in range(2)]
    generator = torch.Generator().manual_seed(4)
    two = [toy.generate_batch(50, *([] if is_older else [generator])) for _ in range(2)]
    return seen | {EQUAL: torch.equal(*again), ANEW: not torch.equal(*two), GLOBAL: is_as_before}


def is_off(name: str) -> Callable[[Sequence[Observations]], bool]:
    """For `shows`: whether this is False in some case."""
    return lambda seen: any(case.get(name) is False for case in seen)


class BatchInOneGo(ToyModel):
    """Draws magnitudes first, and multiplies them by ones and zeros."""

    def generate_uncorrelated_features(
        self, batch_size: int, n_uncorrelated: int, generator: torch.Generator
    ) -> Tensor:
        probability = self.feature_probability[:, self.cfg.n_feats - n_uncorrelated :]
        shape, low, high = (batch_size, *probability.shape), self.cfg.magnitude_low, self.cfg.magnitude_high
        magnitudes = low + (high - low) * torch.rand(shape, generator=generator)
        return magnitudes * torch.bernoulli(probability.expand(shape), generator=generator)


class BatchWithoutGenerator(ToyModel):
    """The older form, whose draws come from torch's global state."""

    def generate_batch(self, batch_size: int) -> Tensor:  # type: ignore[override]
        return super().generate_batch(batch_size, torch.Generator().manual_seed(int(torch.randint(2**31, ()))))


KEPT = [
    "__init__",
    "make_weights",
    "forward",
    "generate_batch",
    "generate_correlated_features",
    "generate_anticorrelated_features",
    "calculate_losses",
    "calculate_loss",
    "_with_magnitudes",
    "_probability_of_correlated",
    "_probability_of_anticorrelated",
    "_broadcast",
]
"""Methods that are there already."""
HANDED_IN = "every draw comes from the generator that is handed in, so that a run can be repeated"
OWN_DRAW = "each feature of each example and instance has a draw of its own"
RANGE_OF_MAGNITUDES = "a present feature is uniform from cfg.magnitude_low to cfg.magnitude_high"
FEATURES = "self._with_magnitudes(independent_presence(draws, probability), generator)"

test_generate_batch = exercise(
    reference=model.ToyModel,
    cases=batch_cases,
    observe=batches_seen,
    keep=KEPT,
    tolerance=STATISTICS,
    accepts=[BatchInOneGo, BatchWithoutGenerator],
    name="generate_batch",
    mistakes=[
        *instead_of(
            FEATURES,
            {
                FEATURES.replace("independent_presence", "~independent_presence"): (
                    "makes features present with probability 1 - p",
                    "p is how often a feature is present: a small p gives few present features",
                ),
                "independent_presence(draws, probability).float()": (
                    "gives every present feature the magnitude 1",
                    RANGE_OF_MAGNITUDES,
                ),
                "sparse_features(independent_presence(draws, probability), draws)": (
                    "uses one draw for presence and magnitude",
                    "that a draw lies below p says that it is small: magnitudes need draws of their own",
                ),
                "sparse_features(independent_presence(draws, probability), draw_uniform(draws.shape, generator))": (
                    "draws magnitudes from 0 to 1 whatever the config says",
                    RANGE_OF_MAGNITUDES,
                ),
                "sparse_features(independent_presence(draws, probability), "
                "torch.randn(draws.shape, generator=generator).abs())": (
                    "draws normal magnitudes",
                    RANGE_OF_MAGNITUDES,
                ),
                "self._with_magnitudes(torch.ones_like(draws, dtype=torch.bool), generator)": (
                    "makes every feature present",
                    "each feature is present with its own probability",
                ),
            },
            within="ToyModel.generate_uncorrelated_features",
        ),
        *instead_of(
            "self.feature_probability[:, self.cfg.n_feats - n_uncorrelated :]",
            {
                "self.feature_probability[:, :n_uncorrelated]": (
                    "uses the probabilities of the first features",
                    "pairs come first, so the probabilities of the uncorrelated features are the last columns",
                ),
                "self.feature_probability[:, -n_uncorrelated:]": (
                    "takes every feature's probability where no feature is uncorrelated",
                    "-0 is 0, so [:, -0:] is everything: count from the front, n_feats - n_uncorrelated",
                ),
                "self.feature_probability[:1, self.cfg.n_feats - n_uncorrelated :]": (
                    "uses the first instance's probabilities for all",
                    "each feature of each instance has a probability of its own",
                ),
                "self.feature_probability[:, -1:]": (
                    "uses the last feature's probability for all",
                    "each feature of each instance has a probability of its own",
                ),
            },
            within="ToyModel.generate_uncorrelated_features",
        ),
        *instead_of(
            "draw_uniform((batch_size, self.cfg.n_inst, n_uncorrelated), generator)",
            {
                "draw_uniform((batch_size, self.cfg.n_inst, 1), generator)\n"
                "        draws = draws.expand(-1, -1, n_uncorrelated)": (
                    "shares one draw among all features",
                    OWN_DRAW,
                ),
                "draw_uniform((batch_size, 1, n_uncorrelated), generator)\n"
                "        draws = draws.expand(-1, self.cfg.n_inst, -1)": (
                    "shares the draws among all instances",
                    OWN_DRAW,
                ),
                "draw_uniform((1, self.cfg.n_inst, n_uncorrelated), generator)\n"
                "        draws = draws.expand(batch_size, -1, -1)": ("shares the draws among all examples", OWN_DRAW),
            },
            within="ToyModel.generate_uncorrelated_features",
        ),
        Mistake(
            "draws from torch's global state",
            "draw_uniform((batch_size, self.cfg.n_inst, n_uncorrelated), generator)",
            "torch.rand(batch_size, self.cfg.n_inst, n_uncorrelated)",
            within="ToyModel.generate_uncorrelated_features",
            why=HANDED_IN,
            shows=is_off(GLOBAL),
        ),
        Mistake(
            "makes a new generator in each call",
            "draws = draw_uniform(",
            "generator = make_generator(0)\n        draws = draw_uniform(",
            within="ToyModel.generate_uncorrelated_features",
            why="a new generator gives the same batch every time: use the one that is handed in",
            shows=is_off(ANEW),
        ),
    ],
)
