"""Superposition and sparse autoencoders (SAEs): how models pack many features into few neurons, and how to unpack them.

SAEs read activations of any model that `arena_lib.interp.hooking.hooked` takes.

    superposition   toy models that store more features than they have dimensions, and their geometry
    toy             autoencoders for those toy models, many instances at once
    autoencoders    the variants, a file each: ReLU with L1, gated, TopK, BatchTopK, JumpReLU, Matryoshka, transcoders
    formats         SAELens's files, read and written; Gemma Scope's, read
    training        activations that stream from a model, the training loop, metrics
    analysis        what a latent means: examples, logits, ablation, attribution, steering
    dashboards      a page about a latent, to open in a browser
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
