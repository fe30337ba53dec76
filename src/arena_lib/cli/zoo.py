"""`arena zoo`: the small trained models, how each was made, and real models and data sets brought into the cache."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arena_lib.cli.support.output import JsonFlag, UsageError, make_folder, print_json, print_table, show, verb

if TYPE_CHECKING:
    from arena_lib.zoo import Card

ADVICE = {
    "non-commercial": " (not for commercial use)",
    "unknown licence": " (its source states none: ask its authors before you publish or sell what you make of it)",
}
"""What a person may not do with a set, by its restriction."""


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    zoo = typer.Typer(
        help="The models and data sets, bundled and to be fetched.",
        no_args_is_help=True,
    )
    zoo.command("list")(list_models)
    zoo.command("info")(info)
    zoo.command("fetch")(fetch)
    zoo.command("train")(train)
    app.add_typer(zoo, name="zoo")


@verb
def list_models(as_json: JsonFlag = False) -> None:
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
    return f"{len(card.sets)} sets" if card.parameters is None else f"{card.parameters / 1e6:.1f}M"


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


@verb
def info(name: Annotated[str, typer.Argument(help="The model or data set.")], as_json: JsonFlag = False) -> None:
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


@verb
def fetch(
    name: Annotated[str, typer.Argument(help="The model or data set.")],
    force: Annotated[bool, typer.Option("--force", help="Fetch it again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring a real model or data set into the cache, once."""
    from arena_lib import zoo

    folder = zoo.fetch(name, force=force)
    print_json({"name": name, "path": str(folder)}) if as_json else show(f"{name} is in {folder}.")


@verb
def train(
    name: Annotated[str, typer.Argument(help="A bundled model.")],
    folder: Annotated[Path, typer.Option(help="Where to write checkpoints and the model.")] = Path("output/zoo"),
    steps: Annotated[int | None, typer.Option(help="Updates in all; the recipe's own number by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever checkpoint is there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Train a bundled model again by its recipe.

    A run that was stopped goes on.
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
