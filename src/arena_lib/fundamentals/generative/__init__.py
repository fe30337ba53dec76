"""Networks that draw pictures, from one kernel that stamps to a generator that learns from a critic.

transposed      transposed convolutions in one dimension, from their definition
transposed_2d   the same in two dimensions, and the module
activations     Tanh, Sigmoid and LeakyReLU
gaussians       draws that let gradients through, KL divergence, ELBO
batches         pictures in batches
autoencoder     an encoder, a decoder, and their training
vae             a variational autoencoder, its training, and walks between latents
gan             a generator and a discriminator, and how they learn from each other
scores          how good generated pictures are, as a classifier sees them
pictures        pictures in rows, as a map, as a film
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
