"""First weights for a GAN.

Source:  Radford et al. 2016, arXiv:1511.06434, section 4: all weights from a normal distribution with deviation 0.02.
Differs: gains of batch norms are drawn around 1, and biases begin at 0, of which the paper says nothing.
"""

from torch import nn

WEIGHT_STD = 0.02
"""The paper's standard deviation."""


def initialize_weights(model: nn.Module) -> None:
    """Draw first weights anew, in place, in every layer of the model, however deeply it's nested.

    The weights of each Conv2d, ConvTranspose2d and Linear come from a normal distribution with mean 0 and standard
    deviation 0.02; those of each BatchNorm2d from one with mean 1 and deviation 0.02. The biases of all of them, where there
    are any, become 0. Other layers, and batch norms without weights, stay
    as they are. Returns nothing.

    Args:
        model: a network, or a single layer.

    >>> layer = nn.Linear(400, 300)
    >>> initialize_weights(layer)
    >>> round(layer.weight.std().item(), 3), layer.bias.abs().max().item()
    (0.02, 0.0)
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, WEIGHT_STD)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, WEIGHT_STD)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
