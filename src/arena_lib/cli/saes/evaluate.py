"""`arena saes evaluate`: what an autoencoder keeps of its model, and how sparse and how alive it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from arena_lib.cli.support.output import UsageError, json_option, print_json, print_table, verb

if TYPE_CHECKING:
    from arena_lib.saes.autoencoders.base import SAE


@click.command("evaluate")
@click.argument("which", metavar="FOLDER_OR_NAME")
@click.option("--model", "model_name", help="Whose activations; the autoencoder's own model by default.")
@click.option("--hook", help="Where they are read; the autoencoder's own hook by default.")
@click.option(
    "--texts", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file, a text in each line."
)
@click.option("--rows", type=click.IntRange(min=1), default=128, help="Rows of tokens, or texts, to measure on.")
@json_option
@verb
def evaluate(
    which: str, model_name: str | None, hook: str | None, texts: Path | None, rows: int, as_json: bool
) -> None:
    """Measure a sparse autoencoder.

    FOLDER_OR_NAME is the folder of a run of `arena saes train`, a folder in SAELens's format, or the name of an
    autoencoder that ships, such as sae-tiny-llama-topk.
    """
    from arena_lib import zoo
    from arena_lib.cli.saes.texts import make_evaluation_tokens
    from arena_lib.saes.training.evaluation import evaluate_sae

    sae = _load(which)
    model_name = model_name or sae.cfg.model_name
    if not model_name:
        raise UsageError(f"the model must be known: got none, and {which} doesn't say which. Pass --model NAME.")
    model = zoo.load(model_name)
    tokens, mask = make_evaluation_tokens(model_name, model, texts, rows)
    figures = evaluate_sae(model, sae, tokens, hook, attention_mask=mask).to_dict()
    if as_json:
        print_json({"path": which, "model": model_name, "rows": rows, "reached": figures})
        return
    print_table([[name, f"{value:.4g}"] for name, value in figures.items()])


def _load(which: str) -> SAE:
    from arena_lib import zoo
    from arena_lib.saes.formats.saelens import load_sae
    from arena_lib.saes.training.trainer import SAE_FOLDER

    folder = Path(which)
    if not folder.is_dir() and which in zoo.sae_names():
        return zoo.load_sae(which)
    return load_sae(folder / SAE_FOLDER if (folder / SAE_FOLDER).is_dir() else folder)
