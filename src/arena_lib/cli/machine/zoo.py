"""`arena zoo`: the small trained models, how each was made, and real models and data sets brought into the cache."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arena_lib.cli.support.output import UsageError, json_option, make_folder, print_json, print_table, show, verb
from arena_lib.wording import counted

if TYPE_CHECKING:
    from arena_lib.zoo import Card

ADVICE = {
    "non-commercial": " (not for commercial use)",
    "unknown licence": " (its source states none: ask its authors before you publish or sell what you make of it)",
}
"""What a person may not do with a set, by its restriction."""


@click.group("zoo", no_args_is_help=True)
def zoo() -> None:
    """The models and data sets: bundled ones, and those to fetch."""


@zoo.command("list")
@json_option
@verb
def list_models(as_json: bool) -> None:
    """Show every model and data set, and whether it is here."""
    from arena_lib import zoo

    models = [(zoo.info(name), zoo.is_available(name)) for name in zoo.names()]
    if as_json:
        print_json({"models": [card.to_dict() | {"available": is_here} for card, is_here in models]})
        return
    rows = [
        [card.name, card.form, _measure(card), card.source, _licence(card), _presence(card, is_here)]
        for card, is_here in models
    ]
    print_table(rows, header=["name", "form", "size", "source", "licence", ""])


def _measure(card: Card) -> str:
    """Parameters of a model, sets of texts."""
    return f"{counted(len(card.sets), 'set')}" if card.parameters is None else f"{card.parameters / 1e6:.1f}M"


def _licence(card: Card) -> str:
    """Of a model its licence; of texts, how many sets aren't free for every use, and why."""
    restrictions = Counter(texts.restriction for texts in card.sets.values() if texts.restriction)
    if not restrictions:
        return card.licence
    limits = ", ".join(f"{count} {restriction}" for restriction, count in sorted(restrictions.items()))
    return f"{sum(restrictions.values())} of {len(card.sets)} sets aren't free: {limits}"


def _presence(card: Card, is_here: bool) -> str:
    if is_here:
        return "here"
    return f"arena zoo fetch {card.name}" if card.source == "fetched" else "missing: reinstall arena-lib"


@zoo.command("info")
@click.argument("name")
@json_option
@verb
def info(name: str, as_json: bool) -> None:
    """Show a card: data, licence, recipe, figures, sets."""
    from arena_lib import zoo

    card = zoo.info(name)
    if as_json:
        print_json(card.to_dict() | {"available": zoo.is_available(name)})
        return
    for key, value in card.to_dict().items():
        if key == "sets":
            for set_name, part in value.items():
                show(f"{set_name}: {part['description']} {part['texts']:,} texts, {' / '.join(part['classes'])}")
                show(f"  {part['origin']}; licence: {part['licence']}{ADVICE.get(part['restriction'], '')}")
        elif isinstance(value, dict) and value:
            show(f"{key}:")
            print_table([[str(inner), str(figure)] for inner, figure in value.items()], indent="  ")
        elif value not in (None, {}):
            show(f"{key}: {value}")


@zoo.command("fetch")
@click.argument("name")
@click.option("--force", is_flag=True, help="Fetch it again.")
@json_option
@verb
def fetch(name: str, force: bool, as_json: bool) -> None:
    """Bring a real model or data set into the cache, once."""
    from arena_lib import zoo

    folder = zoo.fetch(name, force=force)
    print_json({"name": name, "path": str(folder)}) if as_json else show(f"{name} is in {folder}.")


@zoo.command("train")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("output/zoo"),
    help="Where to write checkpoints and the model.",
)
@click.option("--steps", type=int, help="Updates in all; the recipe's own number by default.")
@click.option("--device", default="cpu", help="cpu, cuda or mps.")
@click.option("--fresh", is_flag=True, help="Start from the beginning, even if there is a checkpoint.")
@json_option
@verb
def train(name: str, folder: Path, steps: int | None, device: str, fresh: bool, as_json: bool) -> None:
    """Train a bundled model again by its recipe.

    A run that was stopped continues.
    """
    import importlib

    from arena_lib import zoo
    from arena_lib.core.device import pick_device

    if zoo.info(name).source != "bundled":
        raise UsageError(
            f"a model must be one of ours to be trained: got {name!r}. Bring it with: arena zoo fetch {name}"
        )
    pick_device(device)
    make_folder("--folder", folder / name)
    recipe = importlib.import_module(f"arena_lib.zoo.recipes.{name.replace('-', '_')}")
    figures = recipe.train(folder / name, steps=steps, device=device, resume=not fresh)
    if as_json:
        print_json({"name": name, "path": str(folder / name), "reached": figures})
        return
    print_table([[figure, f"{value:.4g}"] for figure, value in figures.items()])
    show(f"{name} is in {folder / name}.")
