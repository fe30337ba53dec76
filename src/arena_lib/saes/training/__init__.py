"""Training of sparse autoencoders on a model's activations: streaming, the loop, metrics, splicing."""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
