"""`arena saes train`: a sparse autoencoder on the activations of a model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arena_lib.cli.support.output import json_option, make_folder, print_json, print_table, show, verb

if TYPE_CHECKING:
    from arena_lib.saes.autoencoders.base import SAE
    from arena_lib.saes.training.config import SAETrainingConfig
    from arena_lib.saes.training.store import StoreConfig

RUNS = Path("output/saes")
"""Where runs are kept by default."""
LOGGED_ROWS = 16
"""Rows of tokens on which it is measured during training."""
REPORTED = ("added_loss", "loss_recovered", "l0", "fvu", "dead_share")
"""What of that is logged."""


@click.command("train")
@click.option("--model", "model_name", default="tiny-llama", help="Whose activations: a name of the zoo or the hub.")
@click.option("--hook", help="Where they are read; after the middle layer by default.")
@click.option("--hook-out", help="Where a transcoder's target is read.")
@click.option("--variant", default="topk", help="Which autoencoder; a name that isn't there lists them all.")
@click.option("--d-sae", type=click.IntRange(min=1), default=512, help="Number of latents.")
@click.option("--steps", type=click.IntRange(min=1), default=1200, help="Updates in all.")
@click.option("--seed", type=int, default=0, help="Decides everything that is drawn.")
@click.option(
    "--texts", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file, a text in each line."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting, as in --set k=8; --set help lists them all.",
)
@click.option("--device", default="cpu", help="cpu, cuda or mps.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to keep the run; in output/saes by default.")
@click.option("--fresh", is_flag=True, help="Start from the beginning, even if there is a checkpoint.")
@json_option
@verb
def train(
    model_name: str,
    hook: str | None,
    hook_out: str | None,
    variant: str,
    d_sae: int,
    steps: int,
    seed: int,
    texts: Path | None,
    settings: tuple[str, ...],
    device: str,
    folder: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Train a sparse autoencoder.

    A run that was stopped continues. Several processes train together under torchrun.
    """
    from arena_lib import zoo
    from arena_lib.cli.saes.texts import make_evaluation_tokens, make_source
    from arena_lib.core.device import pick_device
    from arena_lib.interp.hooking import hooked
    from arena_lib.saes.training import distributed
    from arena_lib.saes.training.evaluation import evaluate_sae
    from arena_lib.saes.training.reading import ActivationReader
    from arena_lib.saes.training.trainer import train_sae
    from arena_lib.saes.training.variants import make_sae

    if "help" in settings:
        listed = _list_settings(variant)
        print_json(listed) if as_json else show("\n".join(f"  {name}={value}" for name, value in listed.items()))
        return
    own, training, storing = _read_settings(variant, steps, seed, settings)
    device = distributed.find_own_device(device)
    with distributed.torchrun_group(pick_device(device)):
        model = zoo.load(model_name, device)
        hook = hook or f"blocks.{hooked(model).n_layers // 2}.hook_resid_post"
        widths = ActivationReader(model, *filter(None, (hook, hook_out))).widths
        d_out = widths[1] if hook_out else None
        sae = make_sae(
            variant, d_in=widths[0], d_sae=d_sae, d_out=d_out, seed=seed, settings=own, model_name=model_name
        ).to(device)
        folder = folder or RUNS / f"{model_name.replace('/', '-')}-{hook}-{variant}-{d_sae}-{seed}"
        make_folder("--folder", folder)
        tokens, mask = make_evaluation_tokens(model_name, model, texts, LOGGED_ROWS)

        def evaluate(trained: SAE) -> dict[str, float]:
            figures = evaluate_sae(model, trained, tokens, attention_mask=mask).to_dict()
            return {name: figures[name] for name in REPORTED}

        source = make_source(model_name, model, texts, seed * 1000 + distributed.get_rank())
        train_sae(
            model,
            sae,
            hook,
            source,
            training,
            folder,
            hook_name_out=hook_out,
            store_config=storing,
            evaluate=evaluate,
            resume=not fresh,
        )
        figures = evaluate(sae)
        if distributed.get_rank() > 0:
            return
    if as_json:
        print_json({"path": str(folder), "steps": training.n_steps, "reached": figures})
        return
    print_table([[name, f"{value:.4g}"] for name, value in figures.items()])
    show(f"The run is in {folder}. Next: arena saes evaluate {folder}")


def _read_settings(
    variant: str, steps: int, seed: int, texts: tuple[str, ...]
) -> tuple[dict[str, Any], SAETrainingConfig, StoreConfig]:
    """What is set of the variant, of training and of the store; each name belongs to one of the three."""
    from arena_lib.core.configs import read_settings
    from arena_lib.saes.training.config import SAETrainingConfig
    from arena_lib.saes.training.store import StoreConfig
    from arena_lib.saes.training.variants import WARMUP_SHARE, has_weighed_sparsity, list_fields

    parts = {"variant": list_fields(variant), "training": _fields(SAETrainingConfig), "store": _fields(StoreConfig)}
    kinds = {name: field.type for fields in parts.values() for name, field in fields.items()}
    given = read_settings(texts, kinds, f"setting of {variant}")
    own, training, storing = ({name: given[name] for name in fields if name in given} for fields in parts.values())
    if has_weighed_sparsity(variant):
        training.setdefault("sparsity_warmup", int(WARMUP_SHARE * steps))
    return own, SAETrainingConfig(**{"n_steps": steps, "seed": seed, **training}), StoreConfig(**storing)


def _list_settings(variant: str) -> dict[str, str]:
    """Every setting with its default, as it is written after --set."""
    from arena_lib.saes.training.config import SAETrainingConfig
    from arena_lib.saes.training.store import StoreConfig
    from arena_lib.saes.training.variants import list_fields, suggest_settings

    fields = list_fields(variant) | _fields(SAETrainingConfig) | _fields(StoreConfig)
    suggested = suggest_settings(variant, d_in=128, d_sae=512)
    return {
        name: str(suggested.get(name, field.default))
        for name, field in fields.items()
        if name not in ("n_steps", "seed")
    }


def _fields(config: type) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(config)}
