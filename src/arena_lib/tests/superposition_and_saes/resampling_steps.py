"""Judges of the steps of resampling: which latents are dead, who replaces them, and how, section 1.5.4.

Shapes:  frac_active_in_window "window n_inst d_sae"; losses "batch n_inst"; h "batch n_inst d_in"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.core.seeds import make_generator
from arena_lib.saes.toy import resampling

__test__ = False


def window_cases(generator: torch.Generator) -> list[Case]:
    """Latents that are dead, rare, alive at one end of the window only; all dead, none, one update."""
    mixed = torch.rand(6, 3, 5, generator=generator)
    mixed[:, 0, 1] = mixed[:, 2, 3] = mixed[:, 2, 4] = 0.0
    mixed[1:, 0, 3] = 0.0
    mixed[:-1, 1, 2] = 0.0
    mixed[:, 1, 4] = 0.0
    mixed[3, 1, 4] = 1e-6
    axes = {"output": "n_inst d_sae"}
    windows = {
        "dead latents, and rare ones": mixed,
        "all are dead": torch.zeros(4, 2, 3),
        "none is dead": torch.ones(4, 2, 3),
        "one update": (torch.rand(1, 3, 4, generator=generator) - 0.5).relu(),
    }
    return [Case(label=label, args=(window,), axes=axes) for label, window in windows.items()]


def dead_by_maximum(frac_active_in_window: Tensor) -> Tensor:
    """The largest share of the window is zero."""
    return frac_active_in_window.amax(dim=0).eq(0.0)


NEVER = "a latent is dead if it was never active in the whole window: one active update is enough to live"

test_find_dead = exercise(
    reference=resampling.find_dead,
    cases=window_cases,
    observe=outputs,
    accepts=[dead_by_maximum],
    mistakes=[
        *instead_of(
            "(frac_active_in_window == 0).all(dim=0)",
            {
                "(frac_active_in_window == 0).any(dim=0)": ("takes a latent for dead that was quiet once", NEVER),
                "frac_active_in_window.mean(dim=0) < 1e-5": ("takes rare latents for dead", NEVER),
                "frac_active_in_window[-1] == 0": ("looks at the last update only", NEVER),
                "frac_active_in_window[0] == 0": ("looks at the first update only", NEVER),
                "(frac_active_in_window > 0).any(dim=0)": (
                    "says which latents live",
                    "True stands for a dead latent",
                ),
                "(frac_active_in_window == 0).all(dim=(0, 1)).expand(frac_active_in_window.shape[1:])": (
                    "wants a latent dead in every instance",
                    "each instance's latents live or die by themselves",
                ),
                "(frac_active_in_window == 0).all(dim=0).float()": (
                    "returns numbers",
                    "a mask is asked for: True and False",
                ),
                "(frac_active_in_window == 0).all(dim=0).nonzero()": (
                    "returns places",
                    "a mask over all latents is asked for",
                ),
            },
        ),
    ],
)


def loss_cases(generator: torch.Generator) -> list[Case]:
    """Losses of several sizes, small ones too; an instance without any loss; one example."""
    losses = torch.rand(7, 3, generator=generator)
    with_zeros = torch.rand(5, 4, generator=generator)
    with_zeros[:, 1] = 0.0
    with_zeros[2, 3] = 0.0
    axes = {"output": "batch n_inst"}
    return [
        Case(label="a batch", args=(losses,), axes=axes),
        Case(label="an instance without any loss", args=(with_zeros,), axes=axes),
        Case(label="one instance, large losses", args=(50 * torch.rand(6, 1, generator=generator),), axes=axes),
        Case(label="small losses", args=(1e-3 * torch.rand(4, 2, generator=generator),), axes=axes),
        Case(label="one example", args=(torch.tensor([[0.3, 2.0, 0.0]]),), axes=axes),
    ]


def probabilities_by_instance(losses: Tensor) -> Tensor:
    """Goes through the instances."""
    columns = []
    for column in losses.unbind(dim=1):
        weights = column.square() if column.any() else torch.ones_like(column)
        columns.append(weights / weights.sum())
    return torch.stack(columns, dim=1)


OF_INSTANCE = "each instance draws among its own examples, so each column sums to 1"

test_resampling_probabilities = exercise(
    reference=resampling.resampling_probabilities,
    cases=loss_cases,
    observe=outputs,
    accepts=[probabilities_by_instance],
    equivalent={
        "weights = torch.where(weights.sum(dim=0) > 0, weights, 1.0) -> "
        "weights = torch.where(weights.mean(dim=0) > 0, weights, 1.0)": "both are above zero for the same losses",
        "weights = torch.where(weights.sum(dim=0) > 0, weights, 1.0) -> "
        "weights = torch.where(weights.sum(dim=0) > 0, weights, 2.0)": "equal weights of any size do",
    },
    mistakes=[
        *instead_of(
            "weights = losses.double().pow(2)",
            {
                "weights = losses.double()": (
                    "does not square the losses",
                    "squares make badly reconstructed examples far likelier than the others",
                ),
                "weights = losses.double().sqrt()": ("takes the root of the losses", "the losses are squared"),
                "weights = losses.double().pow(2) + 1e-6": (
                    "adds something to every square",
                    "only where all losses of an instance are 0 is each example as likely as the next: small losses count too",
                ),
                "weights = losses.double().exp()": (
                    "uses a softmax",
                    "probabilities are in proportion to the squared losses",
                ),
                "weights = 1 / (losses.double() + 1e-6).pow(2)": (
                    "prefers examples that are reconstructed well",
                    "those with a large loss are to be drawn: what they hold has no latent yet",
                ),
                "weights = (losses == losses.amax(dim=0)).double()": (
                    "takes the worst example only",
                    "every example has its chance, in proportion to its squared loss",
                ),
            },
        ),
        *instead_of(
            "(weights / weights.sum(dim=0)).to(losses.dtype)",
            {
                "(weights / weights.sum()).to(losses.dtype)": ("sums over all instances", OF_INSTANCE),
                "(weights / weights.sum(dim=1, keepdim=True)).to(losses.dtype)": (
                    "sums over the instances",
                    OF_INSTANCE,
                ),
                "weights.to(losses.dtype)": ("does not divide by the sum", OF_INSTANCE),
                "weights / weights.sum(dim=0)": (
                    "returns another dtype",
                    "the result has the dtype of the losses",
                ),
            },
        ),
        *instead_of(
            "    weights = torch.where(weights.sum(dim=0) > 0, weights, 1.0)\n",
            {
                "": (
                    "divides by zero where an instance has no loss",
                    "where all losses are 0 each example is as likely as the next",
                ),
                "    weights = torch.where(weights > 0, weights, 1.0)\n": (
                    "gives each example without a loss the weight 1",
                    "only where all losses of an instance are 0 is each example as likely as the next",
                ),
                "    weights = weights + 1e-12\n    weights = torch.where(weights.sum(dim=0) > 1, weights, 1.0)\n": (
                    "makes all examples equally likely where the losses are small",
                    "only the proportions count, however small the losses are",
                ),
            },
        ),
    ],
)


def draw_cases(generator: torch.Generator) -> list[Case]:
    """Probabilities of several sizes, some zero, other ones in each instance; more draws than examples."""
    uneven = torch.tensor([[0.6, 0.0, 0.1], [0.0, 0.2, 0.1], [0.1, 0.5, 0.8], [0.3, 0.3, 0.0]])
    even = torch.full((3, 2), 1 / 3)
    probabilities = {"uneven probabilities": (uneven, 20_000), "equal probabilities": (even, 16_000)}
    return [
        Case(
            label=label,
            given={"h": torch.randn(*table.shape, 2, generator=generator), "probabilities": table, "d_sae": d_sae},
            call=f"h, probabilities, d_sae={d_sae}, generator   # h: {(*table.shape, 2)}",
        )
        for label, (table, d_sae) in probabilities.items()
    ]


def draws_seen(function: Callable[..., Any], case: Case) -> Observations:
    """How often each example came, in each instance, and how the draws hang together."""
    h, probabilities, d_sae = (case.given[name] for name in ("h", "probabilities", "d_sae"))
    generators = [make_generator(3) for _ in range(2)]
    drawn, again = (function(h.clone(), probabilities.clone(), d_sae, generator) for generator in generators)
    later = function(h.clone(), probabilities.clone(), d_sae, generators[0])
    seen: Observations = {"shape": tuple(drawn.shape), "equal seeds give equal draws": torch.equal(drawn, again)}
    seen["a second call draws anew"] = not torch.equal(drawn, later)
    if drawn.shape != (h.shape[1], d_sae, h.shape[2]):
        return seen
    is_example = (drawn[:, :, None] == h.transpose(0, 1)[:, None]).all(dim=-1)  # n_inst d_sae batch
    seen["every draw is an example of its own instance"] = bool(is_example.any(dim=-1).all())
    seen["how often each example came"] = is_example.float().mean(dim=1)
    pairs = (drawn[:, 1:] == drawn[:, :-1]).all(dim=-1).float().mean(dim=1)
    seen["how often the next latent got the same example"] = pairs
    first = is_example.float()
    seen["how often two instances got examples of the same number"] = (first[0] * first[1]).sum(dim=-1).mean()
    return seen


def draws_by_cumulated(h: Tensor, probabilities: Tensor, d_sae: int, generator: torch.Generator) -> Tensor:
    """Looks uniform numbers up in the running sums of the probabilities."""
    instances = []
    for inst in range(h.shape[1]):
        uniform = torch.rand(d_sae, generator=generator) * probabilities[:, inst].sum()
        places = torch.searchsorted(probabilities[:, inst].cumsum(dim=0), uniform, right=True)
        instances.append(h[places.clamp(max=len(h) - 1), inst])
    return torch.stack(instances)


def draws_by_numbers(h: Tensor, probabilities: Tensor, d_sae: int, generator: torch.Generator) -> Tensor:
    """Draws one row of numbers after the other."""
    rows = [torch.multinomial(column, d_sae, replacement=True, generator=generator) for column in probabilities.T]
    return torch.stack([h[row, inst] for inst, row in enumerate(rows)])


EACH_DRAW = "every latent of every instance gets a draw of its own"

test_draw_examples = exercise(
    reference=resampling.draw_examples,
    cases=draw_cases,
    observe=draws_seen,
    accepts=[draws_by_cumulated, draws_by_numbers],
    tolerance={  # the difference of two shares of 16,000 draws has a spread of 0.0056 at most: these are over six times that
        "how often each example came": Tolerance(rtol=0.0, atol=0.035),
        "how often the next latent got the same example": Tolerance(rtol=0.0, atol=0.05),
        "how often two instances got examples of the same number": Tolerance(rtol=0.0, atol=0.035),
    },
    mistakes=[
        *instead_of(
            "torch.multinomial(probabilities.T, d_sae, replacement=True, generator=generator)",
            {
                "torch.multinomial(probabilities.T, d_sae, generator=generator)": (
                    "draws without replacement",
                    "an example may be drawn more than once, and there may be more latents than examples",
                    "RuntimeError",
                ),
                "torch.randint(len(h), (h.shape[1], d_sae), generator=generator)": (
                    "draws each example with the same probability",
                    "badly reconstructed examples are likelier: probabilities say how much",
                ),
                "torch.multinomial(probabilities.T, 1, replacement=True, generator=generator).expand(-1, d_sae)": (
                    "draws one example for all latents",
                    EACH_DRAW,
                ),
                "torch.multinomial(probabilities.mean(dim=1), d_sae, replacement=True, generator=generator)"
                ".expand(h.shape[1], -1)": ("draws the same examples in every instance", EACH_DRAW),
                "torch.stack([torch.multinomial(probabilities[:, 0], d_sae, replacement=True, generator=generator) "
                "for _ in range(h.shape[1])])": (
                    "draws with the first instance's probabilities",
                    "each instance has probabilities of its own: a column",
                ),
                "probabilities.T.argmax(dim=-1, keepdim=True).expand(-1, d_sae)": (
                    "takes the likeliest example",
                    "the examples are drawn, each with its probability",
                ),
            },
        ),
        *instead_of(
            "by_instance = einops",
            {
                "h = h.roll(1, dims=1)\n    by_instance = einops": (
                    "takes the examples of another instance",
                    "instance i draws among h[:, i]",
                ),
                "h = h[:, :1].expand_as(h)\n    by_instance = einops": (
                    "takes the first instance's examples for all",
                    "instance i draws among h[:, i]",
                ),
            },
        ),
        Mistake(
            "sorts the draws",
            "indices = torch.multinomial(probabilities.T, d_sae, replacement=True, generator=generator)",
            "indices = torch.multinomial(probabilities.T, d_sae, replacement=True, generator=generator).sort(dim=-1).values",
            why="latents that lie side by side would get the same example: leave the draws as they came",
        ),
        Mistake(
            "ignores the generator",
            "replacement=True, generator=generator)",
            "replacement=True)",
            why="equal generators must give equal draws",
        ),
    ],
)
