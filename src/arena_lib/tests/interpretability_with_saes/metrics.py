"""Judges of what says how good an autoencoder is, section 1.3.3.

Shapes:  latents "n d_sae"; acts and recon "n d_out"; at a hook "batch seq d_in", or by head "batch seq n_heads d_head"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs, outputs_and_gradients
from arena_lib.saes.training import metrics, splicing

__test__ = False

# -- compute_l0, compute_frequencies ------------------------------------------------------------------


def latent_cases(generator: torch.Generator) -> list[Case]:
    """Latents of any size, most of them 0; one that is always active, one that never is, and rows that are empty."""
    many = 3 * torch.randn(7, 5, generator=generator).relu()
    many[:, 1], many[:, 3] = 0.0, 0.2
    empty = torch.randn(4, 6, generator=generator).sub(0.5).relu()
    empty[2] = 0.0
    small = torch.tensor([[1e-4, 0.0, 2.0]])
    return [
        Case(label="a dead latent and one that is always active", args=(many,)),
        Case(label="a row in which nothing is active", args=(empty,)),
        Case(label="one row, with a very small latent", args=(small,)),
    ]


def l0_by_rows(latents: Tensor) -> Tensor:
    """Counts row by row."""
    return torch.tensor([float(row.count_nonzero()) for row in latents]).mean()


IS_ACTIVE = "a latent is active if it's above 0, however small or large it is"

test_compute_l0 = exercise(
    reference=metrics.compute_l0,
    cases=latent_cases,
    observe=outputs,
    accepts=[l0_by_rows],
    mistakes=[
        *instead_of(
            "(latents > 0).sum(dim=-1)",
            {
                "latents.sum(dim=-1)": ("adds up the latents", "L0 counts them: " + IS_ACTIVE),
                "(latents > 0).sum(dim=0)": (
                    "counts rows for each latent",
                    "count the active latents of a row, then take the mean over rows",
                ),
                "(latents >= 0).sum(dim=-1)": ("counts what is 0 too", IS_ACTIVE),
                "(latents > 1).sum(dim=-1)": ("asks for more than 1", IS_ACTIVE),
                "(latents == 0).sum(dim=-1)": ("counts the silent latents", IS_ACTIVE),
                "(latents > 0).float().mean(dim=-1)": ("gives a share", "L0 is a number of latents, not a share"),
            },
        ),
        Mistake(
            "sums over rows",
            ".float().mean()",
            ".float().sum()",
            why="the mean over rows, so that more texts change nothing",
        ),
        Mistake(
            "takes the mean over rows in which something is active",
            "(latents > 0).sum(dim=-1).float().mean()",
            "(latents > 0).sum().float() / (latents > 0).any(dim=-1).sum()",
            why="a row in which nothing is active counts as 0",
        ),
    ],
)


def frequencies_by_count(latents: Tensor) -> Tensor:
    """Counts, then divides."""
    return torch.count_nonzero(latents, dim=0) / len(latents)


test_compute_frequencies = exercise(
    reference=metrics.compute_frequencies,
    cases=latent_cases,
    observe=outputs,
    accepts=[frequencies_by_count],
    mistakes=[
        *instead_of(
            "(latents > 0).float().mean(dim=0)",
            {
                "latents.mean(dim=0)": ("takes the mean latent", "how often, not how strongly: " + IS_ACTIVE),
                "(latents > 0).float().mean(dim=-1)": ("gives a share for each row", "each latent has a share of rows"),
                "(latents >= 0).float().mean(dim=0)": ("counts what is 0 too", IS_ACTIVE),
                "(latents > 1).float().mean(dim=0)": ("asks for more than 1", IS_ACTIVE),
                "(latents > 0).float().sum(dim=0)": ("counts", "a share of rows lies between 0 and 1"),
                "(latents > 0).float().mean(dim=0) / (latents > 0).float().mean()": (
                    "divides by the mean over latents",
                    "a share of all rows",
                ),
                "(latents > 0).float().sum(dim=0) / (latents > 0).sum()": (
                    "gives shares of all activity",
                    "a share of all rows: shares of several latents needn't add up to 1",
                ),
                "(latents > 0).float().sum(dim=0) / (latents > 0).any(dim=-1).sum()": (
                    "leaves out rows in which nothing is active",
                    "a share of all rows",
                ),
                "(latents == 0).float().mean(dim=0)": ("says how often each is silent", IS_ACTIVE),
            },
        ),
    ],
)

# -- compute_fvu --------------------------------------------------------------------------------------


def variance_cases(generator: torch.Generator) -> list[Case]:
    """Activations far from 0, whose entries differ in size; good, bad and worse reconstructions."""
    cases = []
    for label, n, d_out, noise in (("good", 9, 4, 0.3), ("bad", 6, 5, 1.0), ("worse than the mean", 3, 7, 4.0)):
        scales = 0.5 + torch.arange(d_out)
        acts = 5 + scales * torch.randn(n, d_out, generator=generator)
        cases.append(Case(label=label, args=(acts, acts + noise * torch.randn(n, d_out, generator=generator))))
    return cases


def fvu_by_var(acts: Tensor, recon: Tensor) -> Tensor:
    """Torch's variance."""
    return (acts - recon).pow(2).sum(dim=1).mean() / acts.var(dim=0, correction=0).sum()


THE_MEAN = "compared with always answering the mean activation, entry by entry"

test_compute_fvu = exercise(
    reference=metrics.compute_fvu,
    cases=variance_cases,
    observe=outputs_and_gradients,
    accepts=[fvu_by_var],
    mistakes=[
        *instead_of(
            "(acts - acts.mean(dim=0)).square().sum()",
            {
                "acts.square().sum()": ("does not centre the activations", THE_MEAN),
                "(acts - acts.mean()).square().sum()": ("takes one mean for all entries", THE_MEAN),
                "(acts - acts.mean(dim=-1, keepdim=True)).square().sum()": ("takes the mean of each row", THE_MEAN),
                "(recon - recon.mean(dim=0)).square().sum()": ("takes the reconstruction's variance", THE_MEAN),
                "(recon - acts.mean(dim=0)).square().sum()": ("compares the reconstruction with the mean", THE_MEAN),
                "acts.var(dim=0).sum()": ("divides a sum by a mean", "both are sums over all rows, or both are means"),
                "(acts.var(dim=0).sum() * len(acts))": (
                    "divides by n - 1 within the variance",
                    "the mean is over n rows above and below; for Tensor.var that's correction=0",
                ),
            },
        ),
        *instead_of(
            "return (recon - acts).square().sum()",
            {
                "return (recon - acts).abs().sum()": ("takes absolute errors", "variance is made of squares"),
                "return (recon + acts).square().sum()": ("adds the two", "the error is their difference"),
                "return 1 - (recon - acts).square().sum()": (
                    "gives the explained fraction",
                    "the unexplained one: 0 is perfect",
                ),
            },
        ),
        *instead_of(
            "(recon - acts).square().sum() / (acts - acts.mean(dim=0)).square().sum()",
            {
                "((recon - acts).square().sum(dim=0) / (acts - acts.mean(dim=0)).square().sum(dim=0)).mean()": (
                    "takes the ratio for each entry, then their mean",
                    "sums over all entries first, so that an entry counts as much as it varies",
                ),
                "((recon - acts).square().sum(dim=1) / (acts - acts.mean(dim=0)).square().sum(dim=1)).mean()": (
                    "takes the ratio for each row, then their mean",
                    "one sum over all rows above and one below, then their ratio",
                ),
                "(recon - acts).norm(dim=1).sum() / (acts - acts.mean(dim=0)).norm(dim=1).sum()": (
                    "doesn't square the distances",
                    "variance is made of squares",
                ),
                "((recon - acts).square().sum() / (acts - acts.mean(dim=0)).square().sum()).sqrt()": (
                    "takes a root",
                    "variance is made of squares",
                ),
            },
        ),
    ],
)

# -- replace_positions --------------------------------------------------------------------------------


def splice_cases(generator: torch.Generator) -> list[Case]:
    """A stream and heads, at all positions and at some, in half precision."""

    def case(label: str, shape: tuple[int, ...], is_spliced: Tensor | None, dtype: torch.dtype = torch.float32) -> Case:
        acts = torch.randn(*shape, generator=generator).to(dtype)
        replacement = torch.randn(*shape[:2], acts[0, 0].numel(), generator=generator)
        return Case(label=label, args=(acts, replacement, is_spliced))

    some = torch.tensor([[True, False, True, True], [False, False, True, False]])
    return [
        case("everywhere", (2, 4, 5), None),
        case("at some positions", (2, 4, 5), some),
        case("heads, at some positions", (2, 4, 3, 2), some),
        case("heads, everywhere", (3, 2, 2, 4), None),
        case("a model in bfloat16", (2, 4, 3), some, torch.bfloat16),
        case("nowhere", (1, 3, 4), torch.zeros(1, 3, dtype=torch.bool)),
    ]


def replace_by_indexing(acts: Tensor, replacement: Tensor, is_spliced: Tensor | None = None) -> Tensor:
    """Writes rows into a copy."""
    out = acts.clone()
    chosen = torch.ones(acts.shape[:2], dtype=torch.bool) if is_spliced is None else is_spliced
    out[chosen] = replacement[chosen].unflatten(-1, acts.shape[2:]).to(acts.dtype)
    return out


def replace_the_stream(acts: Tensor, replacement: Tensor, is_spliced: Tensor | None = None) -> Tensor:
    """The mistake of taking every hook for the residual stream."""
    replacement = replacement.to(acts.dtype)
    return replacement if is_spliced is None else torch.where(is_spliced[..., None], replacement, acts)


ONLY_THERE = "positions where is_spliced is False keep the model's own activations"

test_replace_positions = exercise(
    reference=splicing.replace_positions,
    cases=splice_cases,
    observe=outputs,
    accepts=[replace_by_indexing],
    mistakes=[
        *instead_of(
            "return torch.where(chosen, replacement, acts)",
            {
                "return replacement": ("replaces every position", ONLY_THERE),
                "return torch.where(chosen, acts, replacement)": ("turns the choice round", ONLY_THERE),
                "return chosen * replacement": ("writes zeros elsewhere", ONLY_THERE),
                "return torch.where(chosen, acts + replacement, acts)": (
                    "adds the replacement",
                    "it takes the place of the activations",
                ),
                "return torch.where(chosen.any(dim=0), replacement, acts)": (
                    "replaces a position in every text of the batch",
                    "is_spliced says it for each text by itself",
                ),
                "acts[is_spliced] = replacement[is_spliced]\n    return acts": (
                    "writes into the activations",
                    "the arguments stay as they are: make a new tensor",
                ),
            },
        ),
        *instead_of(
            "replacement.to(acts.dtype).reshape(acts.shape)",
            {
                "replacement.reshape(acts.shape)": (
                    "keeps the autoencoder's dtype",
                    "what goes on in the model has the model's dtype",
                ),
                "replacement.to(acts.dtype).reshape(*acts.shape[:2], *acts.shape[:1:-1]).transpose(2, -1)": (
                    "mixes up heads and their entries",
                    "the heads stand side by side, one after the other: a reshape puts them back",
                ),
            },
        ),
        Mistake(
            "doesn't give heads an axis of their own",
            function=replace_the_stream,
            why="at a hook by head the activations have four axes: give the replacement their shape",
            raises="RuntimeError",
        ),
    ],
)

# -- compute_loss_recovered ---------------------------------------------------------------------------


def loss_cases(generator: torch.Generator) -> list[Case]:
    """Losses as they are; a splice that does harm, and one that does good."""
    calls = {"most of it": (1.68, 1.76, 6.46), "half": (2.0, 3.5, 5.0), "worse than ablation": (1.0, 4.0, 3.0)}
    calls |= {"better than the model": (2.5, 2.25, 3.0), "nothing lost": (1.5, 1.5, 4.25)}
    return [Case(label=label, args=losses) for label, losses in calls.items()]


def recovered_by_shares(clean: float, spliced: float, ablated: float) -> float:
    """One less what is lost."""
    return 1 - (spliced - clean) / (ablated - clean)


test_compute_loss_recovered = exercise(
    reference=metrics.compute_loss_recovered,
    cases=loss_cases,
    observe=outputs,
    accepts=[recovered_by_shares],
    mistakes=[
        *instead_of(
            "(ablated - spliced) / (ablated - clean)",
            {
                "(spliced - clean) / (ablated - clean)": ("gives the share that is lost", "1 is all of it, 0 none"),
                "(spliced - ablated) / (ablated - clean)": ("turns the sign round", "1 is all of it, 0 none"),
                "(ablated - clean) / (ablated - spliced)": ("turns the fraction round", "1 is all of it, 0 none"),
                "(ablated - spliced) / ablated": (
                    "divides by the ablated loss",
                    "the scale is what the ablation costs: ablated less clean",
                ),
                "(ablated - spliced) / (spliced - clean)": (
                    "divides by what splicing costs",
                    "the scale is what the ablation costs: ablated less clean",
                ),
                "clean / spliced": ("compares two losses", "ablation is where the scale begins"),
                "min(1.0, max(0.0, (ablated - spliced) / (ablated - clean)))": (
                    "cuts at 0 and 1",
                    "a splice that is worse than the ablation has a share below 0, and says so",
                ),
                "abs(ablated - spliced) / abs(ablated - clean)": (
                    "takes absolute values",
                    "a splice that is worse than the ablation has a share below 0, and says so",
                ),
            },
        ),
    ],
)
