"""One low-rank adapter: two thin matrices whose product is added to a weight.

A weight of d_in rows and d_out columns has d_in * d_out numbers to train; the adapter has rank * (d_in + d_out).

Shapes:  x "... d_in" -> "... d_out"; with n_inst, x "... n_inst d_in" -> "... n_inst d_out"
Raises:  ConfigError for sizes, a lora_alpha or a dropout that can't work.
Source:  Hu et al. 2021, arXiv:2106.09685, equation 3 and section 4.1.
Differs: the input axis comes first, so our A and B are the paper's transposed, and its BA is our A B. A is drawn as the
         paper's own code and PEFT draw it, uniform within 1/sqrt(d_in); the paper says Gaussian. Dropout: `delta`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError


class Lora(nn.Module):
    """x A B * lora_alpha / rank: what an adapter adds to the output of the weight beside it.

    `A` "d_in rank" is drawn from a uniform distribution within 1/sqrt(d_in), `B` "rank d_out" starts at 0: so at first
    nothing is added. With `n_inst` there are as many adapters side by side, each for its own slice of the input, such as
    one for each attention head: `A` "n_inst d_in rank", `B` "n_inst rank d_out". `rank`, `lora_alpha` and `dropout` are kept
    as attributes.

    >>> lora = Lora(d_in=6, d_out=5, rank=2)
    >>> lora(torch.ones(4, 3, 6)).shape, lora(torch.ones(6)).abs().max().item()
    (torch.Size([4, 3, 5]), 0.0)
    """

    def __init__(
        self,
        d_in: int = 768,
        d_out: int = 768,
        rank: int = 4,
        lora_alpha: float | int = 32,
        n_inst: int | None = None,
        dtype: torch.dtype | None = None,
        *,
        dropout: float = 0.0,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_settings(rank, lora_alpha, dropout)
        if min(d_in, d_out) < 1 or (n_inst is not None and n_inst < 1):
            raise ConfigError(
                f"an adapter's sizes must be at least 1: got d_in={d_in}, d_out={d_out}, n_inst={n_inst}. "
                "Give those of the weight beside it."
            )
        self.rank, self.lora_alpha, self.dropout = rank, lora_alpha, dropout
        n = () if n_inst is None else (n_inst,)
        self.A = nn.Parameter(torch.empty(*n, d_in, rank, dtype=dtype, device=device))
        self.B = nn.Parameter(torch.zeros(*n, rank, d_out, dtype=dtype, device=device))
        bound = d_in**-0.5
        nn.init.uniform_(self.A, -bound, bound, generator=generator)

    @property
    def scale(self) -> float:
        """lora_alpha / rank: with it another rank needs no other learning rate (section 4.1)."""
        return self.lora_alpha / self.rank

    def forward(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_out"]:
        """Equation 3's second term; in training, `dropout` of x's entries are 0, drawn for each token anew."""
        x = F.dropout(x, self.dropout, self.training)
        if self.A.ndim == 2:
            return x @ self.A @ self.B * self.scale
        low = torch.einsum("...id,idr->...ir", x, self.A)
        return torch.einsum("...ir,iro->...io", low, self.B) * self.scale

    def delta(self) -> Float[Tensor, "*n_inst d_in d_out"]:
        """What is added to the weight itself: A B * lora_alpha / rank.

        In training, `dropout` of the inputs are left out, the same ones for all tokens of a pass: a weight is made once
        for all of them. (`forward` draws them for each token, as PEFT does; the mean over draws is the same.)
        """
        A: Tensor = self.A
        if self.training and self.dropout:
            A = A * F.dropout(torch.ones_like(A[..., :1]), self.dropout)
        return A @ self.B * self.scale

    def extra_repr(self) -> str:
        """Sizes, in torch's overview of a model."""
        return f"A={tuple(self.A.shape)}, B={tuple(self.B.shape)}, lora_alpha={self.lora_alpha}, dropout={self.dropout}"


def check_settings(rank: int, lora_alpha: float | int, dropout: float | int) -> None:
    """Raise ConfigError unless an adapter can have this rank, lora_alpha and dropout."""
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ConfigError(f"rank must be a whole number of at least 1: got {rank!r}. The usual ones are 4 to 64.")
    if not 0 < lora_alpha < float("inf"):
        raise ConfigError(f"lora_alpha must be finite and above 0: got {lora_alpha!r}. Try twice the rank.")
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout must be from 0 to below 1: got {dropout!r}. It's a share of the inputs.")
