"""Networks that draw pictures, from one kernel that stamps to a generator that learns from a critic.

transposed      transposed convolutions in one dimension, from their definition
transposed_2d   the same in two dimensions, and the module
activations     Tanh, Sigmoid and LeakyReLU
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
