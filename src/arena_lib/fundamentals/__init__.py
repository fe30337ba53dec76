"""What everything else stands on, built once from first principles.

Each subpackage is a section of chapter 0, and knows nothing of the others; `images` is what several learn on.

puzzles      small tensor puzzles, predictions of shapes and times, and questions that say where to begin
images       small labelled images to learn on: 7,000 of Fashion-MNIST ship, others are read from a folder
ray_tracing  rays, triangles and meshes: from one ray and one segment to a mesh that is lit and turns
resnets      layers, batch normalisation and residual blocks up to ResNet-34, their training and reuse
optimizers   gradient descent to Muon, on surfaces and in training, with groups and schedules
distributed  collectives from sends and receives, and training on several processes
convolutions views by strides, and convolutions and pooling built on them
backprop     an autograd engine on numpy, checked by finite differences, that trains a classifier
generative   networks that draw: transposed convolutions, an autoencoder, a VAE and a GAN
landscapes   curvature from products with vectors, where it comes from, and what measures of it measure
"""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
