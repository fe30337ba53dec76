"""Judge of one LoRA adapter, section 2.4."""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of, random_weights
from arena_lib.checking.modules import load_by_name
from arena_lib.checking.observing import CHANGED, Observations, outputs_and_gradients
from arena_lib.rlhf.lora import adapter

__test__ = False

BIG_ENOUGH = 10_000
"""Numbers in A from which on its spread is looked at."""
SMALL_ENOUGH = 1_000
"""Numbers in A up to which sums of products are compared: longer ones round differently."""
SPREAD = Tolerance(rtol=0.0, atol=0.03)
"""Of 12,000 uniform numbers the standard deviation varies by 0.4 %, and the largest is above 0.99 but once in e^120."""


def lora_cases(generator: torch.Generator) -> list[Case]:
    """One adapter and several side by side; many numbers, whose spread shows; dropout; the default sizes."""

    def case(label: str, shape: tuple[int, ...], sizes: dict[str, Any], **given: Any) -> Case:
        dtype = sizes.get("dtype") or torch.float32
        built = adapter.Lora(**sizes)
        x = torch.randn(*shape, built.A.shape[-2], generator=generator, dtype=dtype)
        words = ", ".join(f"{name}={value}" for name, value in sizes.items())
        weights = random_weights(built, generator)
        return Case(
            label=label, args=(x,), given={"sizes": sizes, "weights": weights, **given}, call=f"Lora({words})(x)"
        )

    one = {"d_in": 5, "d_out": 7, "rank": 3, "lora_alpha": 16}
    several = {"d_in": 6, "d_out": 3, "rank": 2, "lora_alpha": 5.0, "n_inst": 4, "dtype": torch.float64}
    return [
        case("one adapter", (2, 4), one),
        case("an adapter for each of four heads", (2, 5, 4), several),
        case("a single vector", (), {"d_in": 4, "d_out": 2, "rank": 1, "lora_alpha": 0.5}),
        case("many numbers", (2,), {"d_in": 400, "d_out": 3, "rank": 30}),
        case("many numbers, by head", (2, 3), {"d_in": 50, "d_out": 4, "rank": 80, "n_inst": 3}),
        case("sizes left out", (2,), {}),
        case("dropout", (20_000,), {"d_in": 6, "d_out": 2, "rank": 1, "lora_alpha": 1}, dropout=0.4),
    ]


def spread_seen(lora: nn.Module) -> Observations:
    """How A is drawn, in the unit of its bound."""
    A = lora.get_parameter("A").detach()
    in_bounds = A * A.shape[-2] ** 0.5
    return {
        "largest entry of A at first, times sqrt(d_in)": float(in_bounds.abs().max()),
        "standard deviation of A at first, times sqrt(d_in)": float(in_bounds.std()),
    }


def draws_seen(cls: Any, sizes: dict[str, Any]) -> Observations:
    """Whether the generator alone decides what is drawn."""
    draws = [cls(**sizes, generator=torch.Generator().manual_seed(seed)).A.detach() for seed in (0, 0, 1)]
    return {
        "equal generators draw equal A": torch.equal(draws[0], draws[1]),
        "other generators draw another A": not torch.equal(draws[0], draws[2]),
    }


def dropout_seen(cls: Any, case: Case) -> Observations:
    """Sums of six ones each of which may be dropped: their mean and spread tell where, how often and for whom."""
    x = torch.ones_like(case.args[0])
    lora = cls(**case.given["sizes"], dropout=case.given["dropout"])
    load_by_name(lora, {"A": torch.ones(6, 1), "B": torch.ones(1, 2)})
    sums = lora.train()(x).detach()
    again = lora(x).detach()
    return {
        "mean in training, of sums of 6 ones": float(sums.mean()),
        "standard deviation in training": float(sums[:, 0].std(correction=0)),
        "in evaluation": lora.eval()(x[:3]).detach(),
        "a second call drops others": not torch.equal(sums, again),
        CHANGED: [] if torch.equal(x, torch.ones_like(x)) else ["x"],
    }


def lora_seen(cls: Any, case: Case) -> Observations:
    """Factors as they begin, then what given ones give, with gradients; `delta` and `scale`, which read the attributes."""
    if "dropout" in case.given:
        return dropout_seen(cls, case)
    sizes = case.given["sizes"]
    lora = cls(**sizes)
    load_by_name(cls(**sizes), case.given["weights"])  # says which factor is missing, or of another shape
    factors = {name: lora.get_parameter(name) for name in "AB"}
    seen: Observations = {
        "dtypes of A and B": [factor.dtype for factor in factors.values()],
        "which of A and B train": [name for name, factor in factors.items() if factor.requires_grad],
        "largest entry of B at first": float(factors["B"].detach().abs().max()),
        "lora_alpha / rank": float(lora.scale),
    }
    if factors["A"].numel() >= BIG_ENOUGH:
        return seen | spread_seen(lora) | draws_seen(cls, sizes)
    if factors["A"].numel() > SMALL_ENOUGH:
        return seen
    load_by_name(lora, case.given["weights"])
    called = outputs_and_gradients(lora, case)
    lora(case.fresh().args[0]).square().sum().backward()
    gradients = {f"gradient of {name}": factor.grad for name, factor in factors.items()}
    return seen | called | gradients | {"delta()": lora.delta().detach()}


class LoraByProducts(adapter.Lora):
    """Matrix products alone; A from torch.rand."""

    def __init__(
        self,
        d_in: int = 768,
        d_out: int = 768,
        rank: int = 4,
        lora_alpha: float = 32,
        n_inst: int | None = None,
        dtype: torch.dtype | None = None,
        *,
        dropout: float = 0.0,
        device: Any = None,
        generator: torch.Generator | None = None,
    ) -> None:
        nn.Module.__init__(self)
        self.lora_alpha, self.rank, self.dropout, self.n_inst = lora_alpha, rank, dropout, n_inst
        before = [] if n_inst is None else [n_inst]
        drawn = torch.rand(*before, d_in, rank, generator=generator, dtype=dtype, device=device)
        self.A = nn.Parameter((2 * drawn - 1) / d_in**0.5)
        self.B = nn.Parameter(torch.zeros(*before, rank, d_out, dtype=dtype, device=device))
        self.dropping = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Rows of their own for several adapters."""
        rows = self.dropping(x).unsqueeze(-2)
        return (self.scale * (rows @ self.A @ self.B)).squeeze(-2)


class LoraByKaiming(adapter.Lora):
    """PEFT's own way to draw, on A transposed; the scale multiplies B."""

    def __init__(self, *args: Any, generator: torch.Generator | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        for A in self.A.detach().view(-1, *self.A.shape[-2:]):
            nn.init.kaiming_uniform_(A.T, a=5**0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """The delta of the weight, made first."""
        x = nn.functional.dropout(x, self.dropout, self.training)
        if self.A.ndim == 2:
            return x @ (self.A @ (self.B * self.scale))
        return torch.einsum("...id,idr,iro->...io", x, self.A, self.B * self.scale)


class ForgetsScale(adapter.Lora):
    """Without lora_alpha / rank in `forward`, though `scale` is right."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / self.scale


class ScalesTwice(adapter.Lora):
    """With lora_alpha / rank at A and at B."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class AddsInput(adapter.Lora):
    """x + x A B, where the sizes let it."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


test_lora = exercise(
    reference=adapter.Lora,
    cases=lora_cases,
    observe=lora_seen,
    keep=["delta", "extra_repr"],
    tolerance={
        "largest entry of A at first, times sqrt(d_in)": SPREAD,
        "standard deviation of A at first, times sqrt(d_in)": SPREAD,
        # Of 20,000 sums with a standard deviation of 2 the mean varies by 0.014, the standard deviation by 0.01.
        "mean in training, of sums of 6 ones": Tolerance(rtol=0.0, atol=0.1),
        "standard deviation in training": Tolerance(rtol=0.0, atol=0.1),
    },
    accepts=[LoraByProducts, LoraByKaiming],
    mistakes=[
        *instead_of(
            "torch.zeros(*n, rank, d_out, dtype=dtype, device=device)",
            {
                "torch.randn(*n, rank, d_out, dtype=dtype, device=device)": (
                    "draws both factors at random",
                    "B starts at 0, so that at first the adapter adds nothing and the model is what it was",
                ),
                "torch.zeros(*n, rank, d_out, device=device)": (
                    "leaves B in float32 whatever dtype says",
                    "both factors have the dtype that is given",
                ),
            },
        ),
        *instead_of(
            "nn.init.uniform_(self.A, -bound, bound, generator=generator)",
            {
                "nn.init.zeros_(self.A)": (
                    "starts both factors at 0",
                    "the gradient of each is a multiple of the other, so from two zeros nothing is ever learned",
                ),
                "nn.init.kaiming_uniform_(self.A, a=5**0.5, generator=generator)": (
                    "lets torch take rank for the width of the input",
                    "kaiming_uniform_ expects the output axis first, and ours is the last: the bound is 1/sqrt(d_in)",
                ),
                "nn.init.normal_(self.A, 0.0, bound / 3**0.5, generator=generator)": (
                    "draws A from a normal distribution",
                    "A is uniform within 1/sqrt(d_in)",
                ),
                "nn.init.normal_(self.A, generator=generator)": (
                    "draws A with standard deviation 1",
                    "A is uniform within 1/sqrt(d_in), so that x A doesn't grow with the width of x",
                ),
                "nn.init.uniform_(self.A, 0.0, bound, generator=generator)": (
                    "draws A from positive numbers alone",
                    "A is uniform from -1/sqrt(d_in) to 1/sqrt(d_in)",
                ),
                "nn.init.uniform_(self.A, -bound, bound)": (
                    "ignores the generator",
                    "a generator that is given is what A is drawn by",
                ),
            },
        ),
        Mistake("bounds A by 1/d_in", "bound = d_in**-0.5", "bound = 1 / d_in", why="the bound is 1/sqrt(d_in)"),
        *instead_of(
            "return self.lora_alpha / self.rank",
            {
                "return self.rank / self.lora_alpha": ("inverts the scale", "it is lora_alpha / rank"),
                "return 1.0": ("leaves the scale out", "what is added is multiplied by lora_alpha / rank"),
                "return self.lora_alpha": (
                    "scales by lora_alpha alone",
                    "it is divided by rank, so that another rank needs no other learning rate",
                ),
                "return self.lora_alpha / self.rank**0.5": ("divides by the root of rank", "it is lora_alpha / rank"),
            },
            within="Lora.scale",
        ),
        Mistake(
            "forgets the scale in forward", function=ForgetsScale, why="the product is multiplied by lora_alpha / rank"
        ),
        Mistake(
            "multiplies by the scale twice", function=ScalesTwice, why="lora_alpha / rank multiplies the product once"
        ),
        Mistake(
            "adds the input",
            function=AddsInput,
            why="the adapter gives its own part; whoever calls it adds it to what the weight gives",
            raises="RuntimeError",
        ),
        *instead_of(
            "F.dropout(x, self.dropout, self.training)",
            {
                "F.dropout(x, self.dropout)": ("drops inputs in evaluation too", "dropout belongs to training alone"),
                "x": ("leaves dropout out", "in training, `dropout` of the entries of x are 0"),
                "F.dropout(x, 1 - self.dropout, self.training)": (
                    "keeps the share that it should drop",
                    "dropout is the share of entries that become 0",
                ),
                "x * F.dropout(torch.ones_like(x[..., :1]), self.dropout, self.training)": (
                    "drops whole tokens",
                    "each entry of each token is dropped or kept by itself",
                ),
            },
        ),
        *instead_of(
            'torch.einsum("...id,idr->...ir", x, self.A)',
            {
                'torch.einsum("...id,dr->...ir", x, self.A[0])': (
                    "uses the first A for all",
                    "with n_inst each slice of the input has an adapter of its own",
                ),
                'torch.einsum("...id,idr->...ir", x, self.A.detach())': (
                    "detaches A",
                    "both factors learn: gradients flow into A and B",
                ),
            },
        ),
        *instead_of(
            "x @ self.A @ self.B * self.scale",
            {
                "x @ self.A.detach() @ self.B * self.scale": (
                    "detaches A",
                    "both factors learn: gradients flow into A and B",
                ),
                "x.detach() @ self.A @ self.B * self.scale": (
                    "detaches the input",
                    "gradients flow through the adapter to earlier layers",
                ),
            },
        ),
    ],
)
