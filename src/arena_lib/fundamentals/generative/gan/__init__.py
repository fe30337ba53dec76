"""A small DCGAN: a generator that makes pictures from noise, and a discriminator that it must deceive.

initialization  first weights
dcgan           the two networks
training        losses, a step of each network, and the loop that takes turns
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
