"""The truth table: for every label that is linearly there, how well latents find it, beside what needs no training.

    bench = TruthBench(model, "blocks.2.hook_resid_post", neuron_hook="blocks.2.mlp.hook_post")
    scores = bench.score(sae.encode)

Three sets of worlds that nothing shares: probes are fitted on the first; features and thresholds are chosen on the
second; every F1 that is reported is of the third. A label enters the table if the probe reaches `min_f1` on the third
set, with `min_positive` tokens or more in fitting and in scoring; `bench.left_out` lists the others.

Beside a feature's F1 stand: saying yes everywhere, and the probe. `bench.baselines` has what else to compare with: raw
neurons of both signs, and the residual stream's own axes of both signs.

Shapes:  acts "n_tokens d_in", features "n_tokens n_features"
Raises:  UnknownNameError for a hook that the model lacks; ConfigError where nothing is linearly there.
Source:  own derivation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.saes.truth.labels import VARIABLES, LabelledRows, Tier, Variable, iterate_labels, make_labelled_rows
from arena_lib.saes.truth.probe import MultinomialProbe
from arena_lib.saes.truth.scoring import (
    CHUNK,
    Detector,
    choose_detectors,
    find_thresholds,
    grow_union,
    says_any,
    score,
    score_every_pair,
)

Featurise = Callable[[Float[Tensor, "n_tokens d_in"]], Float[Tensor, "n_tokens n_features"]]
"""Activations to features, of which positive values count: an autoencoder's `encode`."""
BATCH = 64
"""Rows that go through the model at once."""


@dataclass(frozen=True, kw_only=True)
class TruthConfig:
    """How large the three sets are, and what a label must reach to be asked of latents."""

    n_fit: int = 4000
    """Rows that probes are fitted on."""
    n_validation: int = 1500
    """Rows that features and thresholds are chosen on."""
    n_test: int = 4000
    """Rows of which the F1 is reported."""
    seq: int = 128
    """Tokens of a row."""
    min_f1: float = 0.8
    """What a probe must reach on the test rows for a label to enter the table."""
    min_positive: int = 500
    """Tokens at which a label must hold, in fitting and in scoring."""
    seed: int = 0
    """Of the worlds."""
    variables: tuple[str, ...] = tuple(VARIABLES)
    """What is asked; fewer are faster."""


@dataclass(frozen=True)
class Label:
    """A class of a variable, with what a probe reaches."""

    name: str
    tier: Tier
    variable: str
    n_positive: int
    """Test tokens at which it holds."""
    probe_f1: float
    always_f1: float
    """Of saying yes everywhere."""


@dataclass(frozen=True)
class LabelScore:
    """What features reach for one label."""

    label: Label
    f1: float
    """Of the best single detector."""
    union_f1: float
    """Of the best union of up to five."""
    detectors: tuple[Detector, ...]
    """That union, best first."""


class _Split:
    """Rows of one set with their activations, flat over tokens."""

    def __init__(self, rows: LabelledRows) -> None:
        self.rows = rows
        self.variables = {variable.name: variable for variable in rows.variables}

    def counted(self, variable: str) -> Bool[Tensor, " n_tokens"]:
        return self.variables[variable].is_counted.flatten()

    def labels(self, names: set[str]) -> dict[str, Bool[Tensor, " n_tokens"]]:
        """Where each of these labels holds."""
        every = (pair for variable in self.rows.variables for pair in iterate_labels(variable))
        return {name: holds.flatten() for name, holds in every if name in names}


class TruthBench:
    """Worlds, activations and probes, made once; `score` may then be asked of any features."""

    def __init__(
        self, model: Any, hook_name: str, *, neuron_hook: str | None = None, config: TruthConfig | None = None
    ) -> None:
        self.config = config or TruthConfig()
        self.hook_name, self.neuron_hook = hook_name, neuron_hook
        sizes = (self.config.n_fit, self.config.n_validation, self.config.n_test)
        seeds = (3 * self.config.seed, 3 * self.config.seed + 1, 3 * self.config.seed + 2)
        self.fit, self.validation, self.test = (
            _Split(make_labelled_rows(n_rows, self.config.seq, seed=seed, variables=self.config.variables))
            for n_rows, seed in zip(sizes, seeds, strict=True)
        )
        names = [hook_name] if neuron_hook is None else [hook_name, neuron_hook]
        self._acts = {
            split: collect_activations(model, split.rows.tokens, names) for split in (self.validation, self.test)
        }
        fit_acts = collect_activations(model, self.fit.rows.tokens, [hook_name])[hook_name]
        self.labels: list[Label] = []
        """What is linearly there."""
        self.left_out: list[Label] = []
        """What isn't, or holds too rarely."""
        for variable in self.fit.rows.variables:
            self._probe(variable, fit_acts)
        if not self.labels:
            raise ConfigError(
                f"at least one label must be linearly there: no probe reached an F1 of {self.config.min_f1} with "
                f"{self.config.min_positive} tokens at {hook_name}. Add rows, or lower one of the two."
            )

    @torch.no_grad()
    def score(self, featurise: Featurise, *, of: str | None = None) -> list[LabelScore]:
        """Choose detectors on the validation set, and score them on the test set.

        `of` names the hook whose activations `featurise` takes; None is the one that the probes read.
        """
        hook = of or self.hook_name
        chosen = self._choose(featurise, hook)
        says = self._say(featurise, hook, chosen)
        truth = self.test.labels({label.name for label in self.labels})
        scores = []
        for label in self.labels:
            counted = self.test.counted(label.variable)
            single, union = (score(said[counted], truth[label.name][counted]) for said in says[label.name])
            scores.append(LabelScore(label, single, union, tuple(chosen[label.name])))
        return scores

    @cached_property
    def baselines(self) -> dict[str, tuple[Featurise, str]]:
        """Features that need no training, each with the hook that it reads."""
        mean = self._acts[self.validation][self.hook_name].mean(0)
        found: dict[str, tuple[Featurise, str]] = {
            "residual basis": (lambda acts: torch.cat([acts - mean, mean - acts], dim=-1), self.hook_name)
        }
        if self.neuron_hook is not None:
            found["neurons"] = (lambda acts: torch.cat([acts, -acts], dim=-1), self.neuron_hook)
        return found

    def _probe(self, variable: Variable, acts: Float[Tensor, "n_tokens d_in"]) -> None:
        """Fit a probe for a variable and sort its labels into those that are linearly there and the others."""
        counted, values = variable.is_counted.flatten(), variable.values.flatten()
        counted_test = self.test.counted(variable.name)
        if len(values[counted].unique()) < 2:
            return
        probe = MultinomialProbe(acts[counted], values[counted], len(variable.classes))
        predicted = probe.predict(self._acts[self.test][self.hook_name][counted_test])
        test = self.test.variables[variable.name]
        for idx, (name, holds) in enumerate(iterate_labels(test)):
            truth = holds.flatten()[counted_test]
            n_fitted, n_positive = int((values[counted] == idx).sum()), int(truth.sum())
            reached, always = score(predicted == idx, truth), score(torch.ones_like(truth), truth)
            label = Label(name, variable.tier, variable.name, n_positive, reached, always)
            is_there = reached >= self.config.min_f1 and min(n_fitted, n_positive) >= self.config.min_positive
            (self.labels if is_there else self.left_out).append(label)

    def _choose(self, featurise: Featurise, hook: str) -> dict[str, list[Detector]]:
        """For each label, the union that is best on the validation set."""
        features = featurise(self._acts[self.validation][hook])
        thresholds = find_thresholds(features)
        chosen: dict[str, list[Detector]] = {}
        for variable in {label.variable: None for label in self.labels}:
            names = [label.name for label in self.labels if label.variable == variable]
            truth, counted = self.validation.labels(set(names)), self.validation.counted(variable)
            labels = torch.stack([truth[name] for name in names], dim=1)
            scores = score_every_pair(features, labels, counted, thresholds)
            for name, candidates in zip(names, choose_detectors(scores, thresholds), strict=True):
                columns = features[:, [candidate.feature for candidate in candidates]][counted]
                local = [Detector(idx, candidate.threshold) for idx, candidate in enumerate(candidates)]
                union = grow_union(local, columns, truth[name][counted])
                chosen[name] = [candidates[detector.feature] for detector in union]
        return chosen

    def _say(
        self, featurise: Featurise, hook: str, chosen: dict[str, list[Detector]]
    ) -> dict[str, tuple[Bool[Tensor, " n_tokens"], Bool[Tensor, " n_tokens"]]]:
        """Where the best detector, and where the union, says yes on the test set."""
        acts = self._acts[self.test][hook]
        says = {
            name: (torch.zeros(len(acts), dtype=torch.bool), torch.zeros(len(acts), dtype=torch.bool))
            for name in chosen
        }
        for start in range(0, len(acts), CHUNK):
            part = slice(start, start + CHUNK)
            features = featurise(acts[part])
            for name, detectors in chosen.items():
                single, union = says[name]
                single[part], union[part] = detectors[0].fires(features), says_any(detectors, features)
        return says


def collect_activations(model: Any, tokens: Tensor, hook_names: list[str]) -> dict[str, Float[Tensor, "n_tokens d_in"]]:
    """The activations at these hooks for every token, flat, in the order of the rows."""
    lm = hooked(model)
    names = [lm.check_hook(name) for name in hook_names]
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    with torch.inference_mode():
        for batch in tokens.split(BATCH):
            _, cache = lm.run_with_cache(batch, lambda name: name in names)
            for name in names:
                kept[name].append(cache[name].flatten(0, 1))
    return {name: torch.cat(parts).clone() for name, parts in kept.items()}
