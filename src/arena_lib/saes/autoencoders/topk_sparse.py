"""TopK's encoder and decoder in one function that touches only the latents that are active.

Of d_sae latents an example has k. Only the first product, acts with all of W_enc, needs all of them: it finds the k.
Decoding gathers k rows of W_dec and sums them. In the backward pass a latent's gradient needs the examples that it is
active in: the pairs (example, latent) are sorted by latent once, and both weights' gradients are sums over the segments of
that order, each of which is a gather and a sum again. At k 32 of 4096 the plain form's other four products are 128 times
as large as they need to be.

Shapes:  acts "batch d_in", W_enc "d_in d_sae", W_dec "d_sae d_out", values and indices "batch k", recon "batch d_out"
Source:  Gao et al. 2024, arXiv:2406.04093, appendix D (sparse kernels for the decoder); the sort and the sums over
         segments: own derivation.
Differs: the encoder's gradient is sparse as well.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from arena_lib.saes.autoencoders.functions import compute_pre_acts

GROUPS_PER_LATENT = 8
"""Into how many times k groups entries are dealt: measured on CPUs, where 4 and 16 take about as long."""


def find_top_k(
    pre_acts: Float[Tensor, "batch n_entries"], k: int
) -> tuple[Float[Tensor, "batch k"], Int[Tensor, "batch k"]]:
    """The k largest entries of each row and where they are, in any order.

    A tournament: entries are dealt into groups, and only the k groups with the largest maxima can hold one of the k
    largest entries. Their members play again, and so on. On a CPU maxima are much cheaper than torch.topk; a GPU, where
    nobody has measured it, gets the latter.

    >>> find_top_k(torch.arange(40.0)[None], k=2)
    (tensor([[39., 38.]]), tensor([[39, 38]]))
    """
    n_groups = GROUPS_PER_LATENT * k
    size = pre_acts.shape[1] // n_groups
    if size < 2 or pre_acts.is_cuda:
        values, indices = pre_acts.topk(k, dim=1, sorted=False)
        return values, indices
    n_dealt = size * n_groups
    grouped = pre_acts[:, :n_dealt].unflatten(1, (size, n_groups))
    groups = grouped.amax(dim=1).topk(k, dim=1, sorted=False).indices
    members = grouped.gather(2, groups[:, None].expand(-1, size, -1)).flatten(1)
    values, places = find_top_k(torch.cat([members, pre_acts[:, n_dealt:]], dim=1), k)
    indices = torch.where(
        places < size * k,
        places // k * n_groups + groups.gather(1, places % k),
        places - size * k + n_dealt,  # one of those that no group got
    )
    return values, indices


def decode_sparsely(
    values: Float[Tensor, "batch k"],
    indices: Int[Tensor, "batch k"],
    W_dec: Float[Tensor, "d_sae d_out"],
) -> Float[Tensor, "batch d_out"]:
    """The sum of each example's rows of W_dec, each times its value."""
    return F.embedding_bag(indices, W_dec, mode="sum", per_sample_weights=values)


def sum_by_latent(
    weights: Float[Tensor, "batch k"],
    rows: Float[Tensor, "batch d_row"],
    order: Int[Tensor, " n_pairs"],
    starts: Int[Tensor, " d_sae"],
) -> Float[Tensor, "d_sae d_row"]:
    """For each latent the sum of the examples' rows that it's active in, each times its weight.

    `order` sorts the pairs (example, latent) by latent, and `starts` says where in that order each latent's begin.
    """
    k = weights.shape[1]
    return F.embedding_bag(order // k, rows, starts, mode="sum", per_sample_weights=weights.flatten()[order])


def compute_value_gradients(
    gradient: Float[Tensor, "batch d_out"],
    indices: Int[Tensor, "batch k"],
    W_dec: Float[Tensor, "d_sae d_out"],
) -> Float[Tensor, "batch k"]:
    """How the loss changes with each active latent: the inner product of the example's gradient and the latent's row.

    Autograd makes them without a tensor "batch k d_out" of gathered rows, which would take most of the step's time.
    """
    values = torch.zeros(indices.shape, dtype=W_dec.dtype, device=W_dec.device, requires_grad=True)
    with torch.enable_grad():
        recon = decode_sparsely(values, indices, W_dec)
    return torch.autograd.grad(recon, values, gradient)[0]


class SparseReconstruction(torch.autograd.Function):
    """(acts, W_enc, b_enc, W_dec, b_dec, k, subtract_b_dec) -> (recon, values, indices); only `recon` has gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        acts: Float[Tensor, "batch d_in"],
        W_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
        W_dec: Float[Tensor, "d_sae d_out"],
        b_dec: Float[Tensor, " d_out"],
        k: int,
        subtract_b_dec: bool,
    ) -> tuple[Float[Tensor, "batch d_out"], Float[Tensor, "batch k"], Int[Tensor, "batch k"]]:
        """Encode, keep the k largest, decode."""
        centered = acts - b_dec if subtract_b_dec else acts
        values, indices = find_top_k(compute_pre_acts(centered, W_enc, b_enc), k)
        values = values.to(W_dec.dtype).relu_()  # autocast may have narrowed them
        ctx.save_for_backward(centered, W_enc, W_dec, values, indices)
        ctx.subtract_b_dec = subtract_b_dec
        ctx.mark_non_differentiable(values, indices)
        return decode_sparsely(values, indices, W_dec).add_(b_dec), values, indices

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, "batch d_out"], _values: Tensor, _indices: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of the five tensors."""
        centered, W_enc, W_dec, values, indices = ctx.saved_tensors
        d_sae = len(W_dec)
        by_value = compute_value_gradients(gradient, indices, W_dec.detach()) * (values > 0)  # relu passes none at 0

        latents, order = indices.flatten().sort()
        starts = torch.searchsorted(latents, torch.arange(d_sae, device=latents.device))
        for_W_dec = sum_by_latent(values, gradient, order, starts)
        for_W_enc = sum_by_latent(by_value, centered, order, starts).T
        for_b_enc = torch.zeros_like(W_dec[:, 0]).index_add_(0, indices.flatten(), by_value.flatten())

        for_b_dec = gradient.sum(dim=0)
        if ctx.subtract_b_dec:
            for_b_dec = for_b_dec - W_enc @ for_b_enc  # through the sum over the batch: a vector, not a product
        for_acts = decode_sparsely(by_value, indices, W_enc.T) if ctx.needs_input_grad[0] else None
        return for_acts, for_W_enc, for_b_enc, for_W_dec, for_b_dec, None, None
