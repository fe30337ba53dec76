"""`arena zoo`: the small trained models, how each was made, and real models and data sets brought into the cache."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
FEW = 500_000
"""Fewer parameters than this are counted in thousands."""


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
    if card.parameters is None:
        return counted(len(card.sets), "set")
    return f"{card.parameters / 1e6:.1f}M" if card.parameters >= FEW else f"{card.parameters / 1e3:.1f}k"


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
    commands = {"fetched": f"arena zoo fetch {card.name}", "trained": f"arena zoo train {card.name}"}
    return commands.get(card.source, "missing: reinstall arena-lib")


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
        elif key in ("policy", "sae") and value:
            _show_facts(value)
        elif isinstance(value, dict) and value:
            show(f"{key}:")
            print_table([[str(inner), str(figure)] for inner, figure in value.items()], indent="  ")
        elif value not in (None, {}):
            show(f"{key}: {value}")


def _show_facts(facts: dict[str, Any]) -> None:
    """How an agent or an autoencoder was trained, lists and tables on a line each."""
    for key, value in facts.items():
        if key == "curve":
            shown = " to ".join(f"{total:g} at {step:,.0f} steps" for step, total in (value[0], value[-1]))
            show(f"{key}: {counted(len(value), 'point')}, from {shown}. Draw it with zoo.plot_curve.")
        elif isinstance(value, dict):
            show(f"{key}: {', '.join(f'{name} {part}' for name, part in value.items())}")
        else:
            show(f"{key}: {', '.join(f'{part:g}' for part in value) if isinstance(value, list) else value}")


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
@click.option(
    "--steps", type=int, help="Updates in all, or a policy's environment steps; the recipe's own number by default."
)
@click.option("--device", default="cpu", help="cpu, cuda or mps.")
@click.option("--fresh", is_flag=True, help="Start from the beginning, even if there is a checkpoint.")
@json_option
@verb
def train(name: str, folder: Path, steps: int | None, device: str, fresh: bool, as_json: bool) -> None:
    """Train a model, policy or autoencoder by its recipe.

    A run that was stopped continues. What doesn't ship is kept in the cache once it's trained, where zoo.load_sae finds it.
    """
    import importlib

    from arena_lib import zoo
    from arena_lib.core.device import pick_device

    if zoo.info(name).source == "fetched":
        raise UsageError(
            f"a model must be one of ours to be trained: got {name!r}. Bring it with: arena zoo fetch {name}"
        )
    pick_device(device)
    make_folder("--folder", folder / name)
    package = "arena_lib.zoo.recipes" + {"policy": ".policies", "sae": ".saes"}.get(zoo.info(name).form, "")
    recipe = importlib.import_module(f"{package}.{name.replace('-', '_')}")
    figures = recipe.train(folder / name, steps=steps, device=device, resume=not fresh)
    made = folder / name
    if zoo.info(name).source == "trained" and steps is None:
        made = zoo.keep_trained(name, folder / name / "model")
    if as_json:
        print_json({"name": name, "path": str(made), "reached": figures})
        return
    print_table([[figure, f"{value:.4g}"] for figure, value in figures.items()])
    show(f"{name} is in {made}.")
