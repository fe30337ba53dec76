"""Sparse autoencoders on toy models, many instances at once: L1, gated, JumpReLU, and resampling of dead latents."""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
