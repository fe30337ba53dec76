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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.saes.training.reading import ActivationReader
from arena_lib.saes.truth.labels import VARIABLES, LabelledRows, Tier, Variable, iterate_labels, make_labelled_rows
from arena_lib.saes.truth.probe import MultinomialProbe
from arena_lib.saes.truth.scoring import (
    CHUNK,
    Detector,
    choose_detectors,
    compute_f1,
    find_thresholds,
    grow_union,
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
    precision: float
    """Of the best single detector: where it says yes, how often it is so."""
    recall: float
    """Of the best single detector: where it is so, how often it says yes."""
    union_precision: float
    """Of the union."""
    union_recall: float
    """Of the union."""


class Split:
    """Rows of one set, and where each label holds, flat over tokens."""

    def __init__(self, rows: LabelledRows) -> None:
        self.rows = rows
        self.variables = {variable.name: variable for variable in rows.variables}

    def counted(self, labels: Sequence[Label]) -> Bool[Tensor, "n_tokens n_labels"]:
        """Where each of these labels is scored."""
        return torch.stack([self.variables[label.variable].is_counted.flatten() for label in labels], dim=1)

    def holds(self, labels: Sequence[Label]) -> Bool[Tensor, "n_tokens n_labels"]:
        """Where each of these labels holds."""
        every = {name: holds for variable in self.rows.variables for name, holds in iterate_labels(variable)}
        return torch.stack([every[label.name].flatten() for label in labels], dim=1)


@dataclass(frozen=True)
class Worlds:
    """The three sets of rows; benches of several hooks may share them."""

    fit: Split
    validation: Split
    test: Split


def make_worlds(config: TruthConfig) -> Worlds:
    """Tell the worlds of this configuration, and label every token."""
    sizes = (config.n_fit, config.n_validation, config.n_test)
    return Worlds(
        *(
            Split(make_labelled_rows(n_rows, config.seq, seed=3 * config.seed + idx, variables=config.variables))
            for idx, n_rows in enumerate(sizes)
        )
    )


class TruthBench:
    """Worlds, activations and probes, made once; `score` may then be asked of any features."""

    def __init__(
        self,
        model: Any,
        hook_name: str,
        *,
        neuron_hook: str | None = None,
        config: TruthConfig | None = None,
        worlds: Worlds | None = None,
    ) -> None:
        self.config = config or TruthConfig()
        self.hook_name, self.neuron_hook = hook_name, neuron_hook
        worlds = worlds or make_worlds(self.config)
        self.fit, self.validation, self.test = worlds.fit, worlds.validation, worlds.test
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
        counted, holds = self.test.counted(self.labels), self.test.holds(self.labels)
        scores = []
        for idx, says in enumerate(self._say(featurise, hook, chosen)):
            counts = counted[:, idx]
            single, union = (_compute_rates(said[counts], holds[counts, idx]) for said in says)
            scores.append(
                LabelScore(self.labels[idx], single[0], union[0], tuple(chosen[idx]), *single[1:], *union[1:])
            )
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
        test = self.test.variables[variable.name]
        counted_test = test.is_counted.flatten()
        if len(values[counted].unique()) < 2:
            return
        probe = MultinomialProbe(acts[counted], values[counted], len(variable.classes))
        predicted = probe.predict(self._acts[self.test][self.hook_name][counted_test])
        for idx, (name, holds) in enumerate(iterate_labels(test)):
            truth = holds.flatten()[counted_test]
            n_fitted, n_positive = int((values[counted] == idx).sum()), int(truth.sum())
            reached, always = score(predicted == idx, truth), score(torch.ones_like(truth), truth)
            label = Label(name, variable.tier, variable.name, n_positive, reached, always)
            is_there = reached >= self.config.min_f1 and min(n_fitted, n_positive) >= self.config.min_positive
            (self.labels if is_there else self.left_out).append(label)

    def _choose(self, featurise: Featurise, hook: str) -> list[list[Detector]]:
        """For each label, the union that is best on the validation set."""
        features = featurise(self._acts[self.validation][hook])
        thresholds = find_thresholds(features)
        holds, counted = self.validation.holds(self.labels), self.validation.counted(self.labels)
        scores = score_every_pair(features, holds, counted, thresholds)
        chosen = []
        for idx, candidates in enumerate(choose_detectors(scores, thresholds)):
            columns = features[:, [candidate.feature for candidate in candidates]]
            is_said = columns > torch.tensor([candidate.threshold for candidate in candidates])
            matters = counted[:, idx] & (holds[:, idx] | is_said.any(1))  # the others change no count
            local = [Detector(column, candidate.threshold) for column, candidate in enumerate(candidates)]
            union = grow_union(local, columns[matters], holds[matters, idx])
            chosen.append([candidates[detector.feature] for detector in union])
        return chosen

    def _say(
        self, featurise: Featurise, hook: str, chosen: list[list[Detector]]
    ) -> list[tuple[Bool[Tensor, " n_tokens"], Bool[Tensor, " n_tokens"]]]:
        """Where the best detector, and where the union, says yes on the test set, for each label."""
        every = [detector for detectors in chosen for detector in detectors]
        columns = torch.tensor([detector.feature for detector in every])
        thresholds = torch.tensor([detector.threshold for detector in every])
        is_said = torch.cat(
            [featurise(part).index_select(1, columns) > thresholds for part in self._acts[self.test][hook].split(CHUNK)]
        )
        of_labels = is_said.split([len(detectors) for detectors in chosen], dim=1)
        return [(says[:, 0], says.any(1)) for says in of_labels]


def _compute_rates(says: Bool[Tensor, " n_tokens"], label: Bool[Tensor, " n_tokens"]) -> tuple[float, float, float]:
    """F1, precision and recall of one yes or no for each token."""
    both, n_said, n_true = (says & label).sum(), says.sum(), label.sum()
    rates = compute_f1(both, n_said, n_true), both / n_said.clamp(min=1), both / n_true.clamp(min=1)
    f1, precision, recall = (float(rate) for rate in rates)
    return f1, precision, recall


def collect_activations(model: Any, tokens: Tensor, hook_names: list[str]) -> dict[str, Float[Tensor, "n_tokens d_in"]]:
    """The activations at these hooks for every token, flat, in the order of the rows."""
    reader = ActivationReader(model, *hook_names)
    kept: dict[str, list[Tensor]] = {name: [] for name in reader.hook_names}
    for batch in tokens.split(BATCH):
        for name, acts in zip(reader.hook_names, reader.read(batch), strict=True):
            kept[name].append(acts.flatten(0, 1))
    return {name: torch.cat(parts).clone() for name, parts in kept.items()}
