"""A map of decoder directions: latents that write alike stand near each other, of one SAE or of several widths.

`project_pca` shows the two directions in which they differ most, and is always there. `project_umap` keeps neighbours
together, which shows clusters that no plane does; it needs the package umap-learn, `pip install 'arena-lib[maps]'`.

Shapes:  directions "n_directions d_out" -> points "n_directions 2", clusters "n_directions"
Raises:  ShapeError for SAEs of different widths of activations; ConfigError for no SAEs or fewer than three directions;
         MissingDependencyError for `project_umap` without umap-learn.
Source:  McInnes et al. 2018, arXiv:1802.03426 (UMAP); Bricken et al. 2023, "Towards monosemanticity" (the map); Ester et al.
         1996, "A density-based algorithm for discovering clusters" (DBSCAN, here on cosines).
Differs: clusters are found among the directions themselves, not on a second projection.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, MissingDependencyError, ShapeError
from arena_lib.interp.probes.pca import get_pca_components
from arena_lib.plots.clouds import clouds
from arena_lib.saes.analysis.directions.logits import find_top_logits
from arena_lib.saes.analysis.directions.splitting import NEAR, compute_cosines
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.functions import normalize_decoder

Project = Callable[[Float[Tensor, "n_directions d_out"]], Float[Tensor, "n_directions 2"]]
"""From directions to points in the plane."""
WIDTH, HEIGHT = 760, 640
"""Pixels of a map."""
ALONE = -1
"""The cluster of directions that are in none."""


@dataclass(frozen=True, eq=False)
class DirectionMap:
    """Latents in the plane; entry i of each list is about one latent."""

    widths: list[int]
    """Of which SAE, by its key."""
    latent_idxs: list[int]
    points: Float[Tensor, "n_directions 2"]
    texts: list[str]
    """What is known of it: an explanation, or the tokens that it makes likelier."""
    clusters: list[int]
    """Its cluster, from 0; -1 if it is in none, or clusters weren't asked for."""

    def show(self, title: str = "Decoder directions") -> go.Figure:
        """A figure, by SAE; the texts are shown on hover."""
        names = [
            f"{width}/{latent} {text}" + (f" (cluster {cluster})" if cluster != ALONE else "")
            for width, latent, text, cluster in zip(
                self.widths, self.latent_idxs, self.texts, self.clusters, strict=True
            )
        ]
        figure = clouds({"": self.points}, [f"{width} latents" for width in self.widths], names=names, title=title)
        return figure.update_layout(width=WIDTH, height=HEIGHT, legend={"y": -0.1})


@torch.no_grad()
def compute_sae_umap_data(
    saes: Mapping[int, SAE],
    explanations: Mapping[int, Mapping[int, str]] | None = None,
    sae_widths: Sequence[int] | None = None,
    model: Any = None,
    *,
    project: Project | None = None,
    find_clusters: bool = False,
    threshold: float = NEAR,
    min_cluster_size: int = 3,
) -> DirectionMap:
    """A map of all latents of `saes` (by key, usually the width), or of those in `sae_widths`, in one plane.

    A latent's text is its entry in `explanations[key][latent]`; without one the tokens that it makes likelier, if there
    is a `model`; else "". `project` is `project_pca` unless another is given, such as `project_umap`. Clusters, if they
    are asked for, are those of `cluster_directions`.
    """
    keys = list(saes) if sae_widths is None else list(sae_widths)
    chosen = {key: _pick(saes, key) for key in keys}
    directions = stack_directions(list(chosen.values()))
    points = (project or project_pca)(directions)
    clusters = [ALONE] * len(directions)
    if find_clusters:
        clusters = cluster_directions(directions, threshold, min_cluster_size).tolist()
    widths = [key for key, sae in chosen.items() for _ in range(sae.cfg.d_sae)]
    latent_idxs = [latent for sae in chosen.values() for latent in range(sae.cfg.d_sae)]
    texts = [
        (explanations or {}).get(key, {}).get(latent) or _top_tokens(model, chosen[key], latent)
        for key, latent in zip(widths, latent_idxs, strict=True)
    ]
    return DirectionMap(widths, latent_idxs, points, texts, clusters)


def stack_directions(saes: Sequence[SAE]) -> Float[Tensor, "n_directions d_out"]:
    """The decoder directions of all latents, each at length 1."""
    widths = {sae.cfg.d_target for sae in saes}
    if not saes:
        raise ConfigError("a map needs at least one SAE: got none. Pass {width: sae}.")
    if len(widths) > 1:
        raise ShapeError(
            f"all SAEs must explain the same activations: got directions with {sorted(widths)} entries. Take those that were "
            "trained at one place of one model."
        )
    return normalize_decoder(torch.cat([sae.W_dec.detach() for sae in saes]))


def project_pca(directions: Float[Tensor, "n_directions d_out"]) -> Float[Tensor, "n_directions 2"]:
    """The coordinates along the two directions of greatest variance, the greatest first; the mean is at 0.

    The sign of an axis means nothing: here the largest coordinate on each is positive, so that a map is drawn the same
    each time.
    """
    check_enough(directions)
    components = get_pca_components(directions, 2)
    points = (directions - directions.mean(dim=0)) @ components
    largest = points.gather(0, points.abs().argmax(dim=0)[None])
    return points * torch.where(largest < 0, -1.0, 1.0)


def project_umap(
    directions: Float[Tensor, "n_directions d_out"],
    n_neighbors: int = 15,
    min_dist: float = 0.05,
    seed: int = 0,
) -> Float[Tensor, "n_directions 2"]:
    """UMAP by cosine: points whose neighbours are near in the plane as well; distances far apart mean little."""
    check_enough(directions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the absence of TensorFlow, which isn't used here
        try:
            import umap
        except ImportError as error:
            raise MissingDependencyError("umap-learn", "maps", "A map by UMAP") from error
        reducer = umap.UMAP(
            n_neighbors=min(n_neighbors, len(directions) - 1),
            min_dist=min_dist,
            metric="cosine",
            random_state=seed,
            n_jobs=1,  # several would make each run another map
            init="random" if len(directions) < 5 else "spectral",
        )
        points = reducer.fit_transform(directions.detach().to("cpu", torch.float32).numpy())
    return torch.from_numpy(points).to(directions)


def cluster_directions(
    directions: Float[Tensor, "n_directions d_out"], threshold: float = NEAR, min_cluster_size: int = 3
) -> Int[Tensor, " n_directions"]:
    """Groups of directions that hang together by cosines of at least `threshold`, numbered by size; -1 for those in none.

    Two directions are in one group if a chain leads from one to the other in which each is near the next. Groups with
    fewer than `min_cluster_size` don't count. Of equally large ones that with the lowest number in it comes first.

    >>> cluster_directions(torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]]), 0.9, min_cluster_size=2)
    tensor([-1,  0,  0, -1])
    """
    is_near = compute_cosines(directions, directions) >= threshold
    groups = torch.arange(len(directions), device=directions.device)
    while True:  # each takes the lowest number among its neighbours, until nothing changes
        lowest = torch.where(is_near, groups, len(groups)).amin(dim=1).minimum(groups)
        if torch.equal(lowest, groups):
            break
        groups = lowest
    firsts, sizes = groups.unique(return_counts=True)
    order = sizes.argsort(descending=True, stable=True)
    clusters = torch.full_like(groups, ALONE)
    for number, i in enumerate(i for i in order.tolist() if sizes[i] >= min_cluster_size):
        clusters[groups == firsts[i]] = number
    return clusters


def check_enough(directions: Float[Tensor, "n_directions d_out"]) -> None:
    """A map needs three points at least, of two coordinates or more."""
    if len(directions) < 3 or directions.shape[1] < 2:
        raise ConfigError(
            f"a map needs at least three directions of two entries: got shape {tuple(directions.shape)}. Pass more latents."
        )


def _pick(saes: Mapping[int, SAE], key: int) -> SAE:
    if key not in saes:
        raise ConfigError(
            f"sae_widths must be keys of saes, {', '.join(map(str, saes))}: got {key}. Leave it out for all."
        )
    return saes[key]


def _top_tokens(model: Any, sae: SAE, latent: int) -> str:
    """The three tokens that a latent makes likeliest."""
    if model is None:
        return ""
    return ", ".join(token for token, _ in find_top_logits(model, sae, latent, 3).top)
