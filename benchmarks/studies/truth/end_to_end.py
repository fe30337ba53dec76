"""A trained autoencoder that goes on learning from what the model predicts with the reconstruction in place.

Source:  Braun et al. 2024, arXiv:2405.12241, section 2 (the KL divergence of the predictions; here without the terms on
         later layers).
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.interp.hooking import hooked
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.training.splicing import splicing_hooks

ROWS, LR = 8, 3e-4
"""Rows of an update; Adam's learning rate at the start, which falls to 0 in a straight line."""


def train_end_to_end(model: Any, sae: SAE, rows: Int[Tensor, "n_rows seq"], n_steps: int, seed: int) -> None:
    """Take steps on the KL divergence from the model's own predictions; the model stays as it is."""
    lm = hooked(model)
    sae.requires_grad_(True)
    optimizer = torch.optim.Adam([weight for weight in sae.parameters() if weight.requires_grad], lr=LR, fused=True)
    generator = make_generator(seed)
    for step in range(n_steps):
        optimizer.param_groups[0]["lr"] = LR * (1 - step / n_steps)
        tokens = rows[torch.randint(len(rows), (ROWS,), generator=generator)]
        with torch.no_grad():
            clean = lm.run(tokens).log_softmax(-1)
        spliced = lm.run(tokens, splicing_hooks(sae)).log_softmax(-1)
        loss = F.kl_div(spliced.flatten(0, 1), clean.flatten(0, 1), log_target=True, reduction="batchmean")
        grads = torch.autograd.grad(loss, optimizer.param_groups[0]["params"])
        for weight, grad in zip(optimizer.param_groups[0]["params"], grads, strict=True):
            weight.grad = grad
        optimizer.step()
    sae.requires_grad_(False)
