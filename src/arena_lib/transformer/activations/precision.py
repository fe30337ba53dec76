"""Where half precision isn't enough: sums over many numbers, squares, and logarithms of probabilities.

float16 ends at 65504, so 256 squared is already infinite in it; bfloat16 has three significant digits. Norms,
log-probabilities and means are therefore computed in float32, as torch's fused operations and transformers do.

Source:  Micikevicius et al. 2018, arXiv:1710.03740, section 3.3 (reductions in single precision).
"""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_float32(tensor: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The tensor in float32 if it is in half precision; float32 and float64 stay as they are.

    >>> at_least_float32(torch.ones(2, dtype=torch.bfloat16)).dtype
    torch.float32
    >>> at_least_float32(torch.ones(2, dtype=torch.float64)).dtype
    torch.float64
    """
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
