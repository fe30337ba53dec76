"""`arena saes figures`: train and draw the figures of the papers on superposition."""

from __future__ import annotations

from pathlib import Path

import click

from arena_lib.cli.support.output import json_option, make_folder, print_json, show, verb

FIGURES = Path("output/superposition")
"""Where figures go by default."""


@click.command("figures")
@click.option("--folder", type=click.Path(path_type=Path), default=FIGURES, help="Where the figures go.")
@click.option("--only", multiple=True, metavar="NAME", help="This figure; may be given several times. All by default.")
@click.option("--size", type=click.Choice(["tiny", "full"]), default="full", help="tiny: seconds, to see that it runs.")
@click.option("--seed", type=int, default=0, help="Decides everything that is drawn.")
@json_option
@verb
def figures(folder: Path, only: tuple[str, ...], size: str, seed: int, as_json: bool) -> None:
    """Train and draw the figures on superposition.

    All of them take about half an hour on one core. Each is a page for a browser, and a PNG where kaleido finds a
    Chromium.
    """
    from arena_lib.saes.superposition.paper.figures import save_figures
    from arena_lib.saes.toy.figures import ALL_FIGURES

    make_folder("--folder", folder)
    saved = save_figures(folder, only=only, size="tiny" if size == "tiny" else "full", seed=seed, figures=ALL_FIGURES)
    if as_json:
        print_json({"figures": {name: [str(path) for path in paths] for name, paths in saved.items()}})
        return
    for name, paths in saved.items():
        show(f"{name}: {ALL_FIGURES[name].shows}. {paths[0]}")
