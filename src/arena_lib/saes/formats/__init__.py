"""Trained SAEs on disk: SAELens's files, which are ours too, and Gemma Scope's, which can be read.

from arena_lib.saes import formats
formats.save_sae(sae, "my-sae")             cfg.json and sae_weights.safetensors
formats.load_sae("my-sae")                  the same variant again; also what SAELens saved
formats.load_gemma_scope("params.npz")      a JumpReLUSAE
"""

from arena_lib.saes.formats.gemma_scope import load_gemma_scope
from arena_lib.saes.formats.saelens import load_sae, save_sae

__all__ = ["load_gemma_scope", "load_sae", "save_sae"]
