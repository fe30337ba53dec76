"""Trains and scores the settings of the truth study, and keeps every figure in one JSON file.

What is stored is left alone, so that a study that was stopped goes on.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from arena_lib import zoo
from arena_lib.core.files import write_atomically
from arena_lib.core.manifest import find_commit, find_versions
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.evaluation import evaluate_sae
from arena_lib.saes.training.trainer import SAETrainer, start_bias
from arena_lib.saes.training.variants import WARMUP_SHARE, has_weighed_sparsity, make_sae
from arena_lib.saes.truth import LabelScore, TruthBench, TruthConfig, Worlds, make_worlds
from arena_lib.storyworld import make_rows
from arena_lib.zoo.recipes.saes.running import EVALUATION_SEED, make_batches
from benchmarks.studies.running import STORED
from benchmarks.studies.truth.declaring import MODEL, Setting
from benchmarks.studies.truth.end_to_end import train_end_to_end
from benchmarks.studies.truth.pool import Pool, PoolBatches

FILE = "sae-truth.json"
N_ROWS = 8000
"""Rows whose activations autoencoders learn from."""
EVALUATION_ROWS = 64
DIGITS = 4
RATES = ("f1", "precision", "recall", "union_f1", "union_precision", "union_recall")
"""What is stored of a label, and after them the number of latents in the union."""
MEASURED = ("l0", "added_loss", "fvu", "dead_share")


class Study:
    """Worlds, activations and benches, made when they are needed; `run` scores settings."""

    def __init__(self, worlds: TruthConfig, *, n_rows: int = N_ROWS, model_name: str = MODEL) -> None:
        self.config, self.n_rows, self.model = worlds, n_rows, zoo.load(model_name)
        self.tokens = torch.from_numpy(make_rows(EVALUATION_ROWS, worlds.seq, seed=EVALUATION_SEED))
        self._pool: Pool | None = None
        self._worlds: Worlds | None = None
        self._benches: dict[str, TruthBench] = {}

    @property
    def pool(self) -> Pool:
        """What is learned from."""
        if self._pool is None:
            batches, generator, rows = make_batches(0), make_generator(0), []
            while sum(map(len, rows)) < self.n_rows:
                rows.append(batches(generator).tokens)
            self._pool = Pool(self.model, [], torch.cat(rows)[: self.n_rows])
        return self._pool

    def bench(self, hook: str) -> TruthBench:
        """The bench of a hook, beside the neurons of its layer."""
        if hook not in self._benches:
            self._worlds = self._worlds or make_worlds(self.config)
            neurons = f"blocks.{hook.split('.')[1]}.mlp.hook_post"
            self._benches[hook] = TruthBench(
                self.model, hook, neuron_hook=neurons, config=self.config, worlds=self._worlds
            )
        return self._benches[hook]

    def describe(self, hook: str) -> dict[str, Any]:
        """What a hook's probes reach, and what features that need no training do."""
        bench = self.bench(hook)
        fields = ("name", "tier", "variable", "n_positive", "probe_f1", "always_f1")
        return {
            "labels": [[_round(getattr(label, field)) for field in fields] for label in bench.labels],
            "left_out": [[_round(getattr(label, field)) for field in fields] for label in bench.left_out],
            "baselines": {
                name: summarise(bench.score(featurise, of=of)) for name, (featurise, of) in bench.baselines.items()
            },
        }

    def run(self, setting: Setting, seed: int) -> dict[str, Any]:
        """Train with a seed, measure and score."""
        start = time.process_time()
        sae = train(setting, self.pool, seed)
        seconds = time.process_time() - start
        figures = evaluate_sae(self.model, sae, self.tokens, setting.hook, setting.hook_out or None).to_dict()
        return {
            **{name: round(figures[name], DIGITS) for name in MEASURED},
            "cpu_seconds": round(seconds, 1),
            "scores": summarise(self.bench(setting.hook).score(sae.encode)),
        }


def train(setting: Setting, pool: Pool, seed: int) -> SAE:
    """The finished autoencoder of a setting, for activations as the model gives them."""
    batches = PoolBatches(pool, setting.hook, setting.hook_out, setting.batch_size)
    is_random = setting.variant == "random"
    sae = make_sae(
        "topk" if is_random else setting.variant,
        d_in=batches.d_in,
        d_sae=setting.d_sae,
        d_out=batches.d_out,
        seed=seed,
        settings=setting.own,
        model_name=MODEL,
    )
    if is_random:
        start_bias(sae, batches(make_generator(seed)))
        sae.fold_scale(batches.scale, batches.scale_out)
        return sae.eval().requires_grad_(False)
    warmup = int(WARMUP_SHARE * setting.n_steps) if has_weighed_sparsity(setting.variant) else 0
    config = SAETrainingConfig(n_steps=setting.n_steps, seed=seed, sparsity_warmup=warmup, log_every=100)
    trainer = SAETrainer(sae, batches, config)
    trainer.train()
    folded = trainer.fold()
    if setting.end_to_end_steps:
        train_end_to_end(pool.model, folded, pool.tokens, setting.end_to_end_steps, seed)
    return folded


def summarise(scores: Sequence[LabelScore]) -> dict[str, list[float]]:
    """By label what is stored of it."""
    return {
        score.label.name: [*(_round(getattr(score, rate)) for rate in RATES), len(score.detectors)] for score in scores
    }


def run_settings(
    part: str, settings: Sequence[Setting], seeds: Sequence[int], study: Study, folder: Path = STORED
) -> dict[str, Any]:
    """Score each setting and seed that isn't stored in this part, "search" or "final", and return all that is."""
    record = read_record(folder) or {}
    stored = record.setdefault(part, {"worlds": asdict(study.config), "hooks": {}, "settings": {}})
    stored |= {"commit": find_commit(), "versions": find_versions()}
    for setting in settings:
        declared = json.loads(json.dumps(asdict(setting)))
        kept = stored["settings"].setdefault(setting.name, {"setting": declared, "seeds": {}})
        if kept["setting"] != declared:
            raise ConfigError(
                f"a setting that is stored must stay as it was: {setting.name} is stored as {kept['setting']} and "
                f"declared as {declared}. Give it another name, or take it out of {folder / FILE}."
            )
        for seed in seeds:
            if str(seed) in kept["seeds"]:
                continue
            if setting.hook not in stored["hooks"]:
                stored["hooks"][setting.hook] = study.describe(setting.hook)
                write_record(record, folder)
            kept["seeds"][str(seed)] = study.run(setting, seed)
            write_record(record, folder)
    return record


def read_record(folder: Path = STORED) -> dict[str, Any] | None:
    """What is stored, or None."""
    path = folder / FILE
    record: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return record


def write_record(record: Mapping[str, Any], folder: Path = STORED) -> Path:
    """Store everything: a line for each hook and each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _write(record, depth=5)
    write_atomically(folder / FILE, f"{text}\n".encode())
    return folder / FILE


def _write(value: Any, depth: int) -> str:
    if depth == 0 or not isinstance(value, Mapping):
        return json.dumps(value)
    return "{" + ",\n".join(f"{json.dumps(key)}: {_write(inner, depth - 1)}" for key, inner in value.items()) + "}"


def _round(value: Any) -> Any:
    return round(value, DIGITS) if isinstance(value, float) else value
