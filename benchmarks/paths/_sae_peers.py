"""The peers of a step of an SAE's training, each with our weights: SAELens, dictionary_learning and sparsify.

Every function takes one of our autoencoders and a batch, and returns a run: loss, backward pass, gradients clipped to
a norm of 1, Adam, gradients to nothing, and whatever the library does to its decoder. A run returns the reconstruction
of its batch, of weights as they were before the step.

Source:  the libraries' own trainers: `SAETrainer._train_step` (sae-lens 6.54), `SAETrainer.update`
         (dictionary-learning 0.1), `Trainer` (eai-sparsify 1.3).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.gated import GatedSAE
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE
from arena_lib.saes.autoencoders.relu import ReLUSAE
from arena_lib.saes.autoencoders.topk import TopKSAE
from benchmarks.harness.declaring import Run, Skip

LR = 1e-4
MAX_NORM = 1.0


def make_saelens(sae: SAE, acts: Tensor) -> Run:
    """SAELens's training form of the same variant."""
    twin, coefficients = _build_saelens(sae)
    from sae_lens.saes.sae import TrainStepInput

    optimizer = torch.optim.Adam(twin.parameters(), lr=LR)
    n_idle, frequencies = torch.zeros(sae.cfg.d_sae), torch.zeros(sae.cfg.d_sae)
    nobody = torch.zeros(sae.cfg.d_sae, dtype=torch.bool)

    def run() -> Tensor:
        step = TrainStepInput(
            sae_in=acts, coefficients=coefficients, dead_neuron_mask=nobody, n_training_steps=0, is_logging_step=False
        )
        output = twin.training_forward_pass(step)
        with torch.no_grad():  # as its trainer counts what fired
            fired = output.feature_acts.bool().float()
            did_fire = fired.sum(-2).bool()
            n_idle.add_(1)
            n_idle[did_fire.to_dense() if did_fire.is_sparse else did_fire] = 0
            frequencies.add_(fired.sum(0))
        output.loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), MAX_NORM)
        optimizer.step()
        optimizer.zero_grad()
        recon: Tensor = output.sae_out.detach()
        return recon

    return run


def _build_saelens(sae: SAE) -> tuple[Any, dict[str, float]]:
    import sae_lens
    from sae_lens.saes import gated_sae, jumprelu_sae, standard_sae, topk_sae

    if not hasattr(sae_lens, "TrainingSAE"):
        raise Skip("training forms are measured with SAELens 6")
    sizes = {"d_in": sae.cfg.d_in, "d_sae": sae.cfg.d_sae, "apply_b_dec_to_input": sae.cfg.subtract_b_dec}
    coefficients: dict[str, float] = {}
    twin: Any
    if isinstance(sae, TopKSAE):
        twin = topk_sae.TopKTrainingSAE(topk_sae.TopKTrainingSAEConfig(k=sae.cfg.k, **sizes))
    elif isinstance(sae, ReLUSAE):
        coefficients = {"l1": sae.cfg.l1_coef}
        twin = standard_sae.StandardTrainingSAE(standard_sae.StandardTrainingSAEConfig(**sizes))
    elif isinstance(sae, GatedSAE):
        coefficients = {"l1": sae.cfg.l1_coef}
        twin = gated_sae.GatedTrainingSAE(gated_sae.GatedTrainingSAEConfig(**sizes))
        _copy(twin.r_mag, sae.r_mag)
        _copy(twin.b_gate, sae.b_gate)
        _copy(twin.b_mag, sae.b_mag)
    elif isinstance(sae, JumpReLUSAE):
        coefficients = {"l0": sae.cfg.l0_coef}
        config = jumprelu_sae.JumpReLUTrainingSAEConfig(jumprelu_bandwidth=sae.cfg.bandwidth, **sizes)
        twin = jumprelu_sae.JumpReLUTrainingSAE(config)
        _copy(twin.threshold, sae.threshold)
    else:
        raise Skip(f"SAELens has no twin of {type(sae).__name__}")
    for name in ("W_enc", "W_dec", "b_enc", "b_dec"):
        if hasattr(twin, name) and hasattr(sae, name):
            _copy(getattr(twin, name), getattr(sae, name))
    return twin.train(), coefficients


def make_dictionary_learning(sae: SAE, acts: Tensor) -> Run:
    """dictionary_learning's trainer of the same variant, past its warm-up."""
    trainer = _build_dictionary_trainer(sae)
    dictionary = trainer.ae
    if isinstance(sae, JumpReLUSAE):
        _copy(dictionary.threshold, sae.threshold)
        _copy(dictionary.W_enc, sae.W_enc)
        _copy(dictionary.W_dec, sae.W_dec)
    else:
        _copy(dictionary.encoder.weight, sae.W_enc.T)
        _copy(dictionary.decoder.weight, sae.W_dec.T)
        if dictionary.encoder.bias is not None:
            _copy(dictionary.encoder.bias, sae.b_enc)
    first = [True]

    def run() -> Tensor:
        recon = torch.empty(0)
        if first[0]:  # `update` returns no reconstruction: it is made once, for the comparison before the timing
            first[0] = False
            with torch.no_grad():
                recon = dictionary(acts)
        trainer.update(1, acts)
        return recon

    return run


def _build_dictionary_trainer(sae: SAE) -> Any:
    from dictionary_learning.trainers import gdm, jumprelu, standard, top_k

    sizes = {"activation_dim": sae.cfg.d_in, "dict_size": sae.cfg.d_sae, "layer": 0, "lm_name": "a model"}
    steps = {"steps": 10**9, "warmup_steps": 0, "lr": LR, "device": "cpu", **sizes}
    if isinstance(sae, TopKSAE):
        return top_k.TopKTrainer(k=sae.cfg.k, **steps)
    if isinstance(sae, ReLUSAE):
        return standard.StandardTrainer(l1_penalty=sae.cfg.l1_coef, sparsity_warmup_steps=None, **steps)
    if isinstance(sae, GatedSAE):
        return gdm.GatedSAETrainer(l1_penalty=sae.cfg.l1_coef, sparsity_warmup_steps=None, **steps)
    if isinstance(sae, JumpReLUSAE):
        return jumprelu.JumpReluTrainer(bandwidth=sae.cfg.bandwidth, sparsity_warmup_steps=None, **steps)
    raise Skip(f"dictionary_learning has no twin of {type(sae).__name__}")


def make_sparsify(sae: SAE, acts: Tensor) -> Run:
    """Sparsify's TopK coder with Adam, stepped as its trainer does."""
    from sparsify import SparseCoder, SparseCoderConfig

    if not isinstance(sae, TopKSAE):
        raise Skip("sparsify has TopK alone")
    coder = SparseCoder(sae.cfg.d_in, SparseCoderConfig(num_latents=sae.cfg.d_sae, k=sae.cfg.k))
    _copy(coder.encoder.weight, sae.W_enc.T)
    _copy(coder.W_dec, sae.W_dec)
    optimizer = torch.optim.Adam(coder.parameters(), lr=LR, fused=True)

    def run() -> Tensor:
        output = coder(acts)
        output.fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        nn.utils.clip_grad_norm_(coder.parameters(), MAX_NORM)
        optimizer.step()
        optimizer.zero_grad()
        coder.set_decoder_norm_to_unit_norm()
        recon: Tensor = output.sae_out.detach()
        return recon

    return run


MAKERS: dict[str, Callable[[SAE, Tensor], Run]] = {
    "sae-lens": make_saelens,
    "dictionary-learning": make_dictionary_learning,
    "sparsify": make_sparsify,
}
"""Peers by name."""


@torch.no_grad()
def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source)
