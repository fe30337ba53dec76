"""Which device to compute on, and where half precision isn't enough.

Raises:  ConfigError for a device that is unknown, MissingDeviceError for one that is not in this machine.
Source:  Micikevicius et al. 2018, arXiv:1710.03740, section 3.3 (reductions in single precision).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, MissingDeviceError

KNOWN_DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; "auto" takes CUDA, then MPS, then the CPU.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    kind, _, index = name.partition(":")
    if kind not in KNOWN_DEVICES or (index and (kind == "auto" or not index.isdecimal())):
        raise ConfigError(
            f"a device must be one of {', '.join(KNOWN_DEVICES)}, or one with an index like 'cuda:1': "
            f"got {name!r}. Use 'auto' to take the fastest one here."
        )
    if kind == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _is_here(kind)))
    if not _is_here(kind, int(index or 0)):
        raise MissingDeviceError(
            f"the device must be in this machine: got {name!r}, which torch does not find. Use 'auto' or 'cpu'."
        )
    return torch.device(name)


def at_least_float32(tensor: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return the tensor in float32 if it is in half precision; float32 and float64 stay as they are.

    float16 ends at 65504, so 256 squared is infinite in it; bfloat16 has three significant digits. So norms,
    log-probabilities and means are computed in float32, as torch's fused operations and transformers do.

    >>> at_least_float32(torch.ones(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _is_here(kind: str, index: int = 0) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available() and index < torch.cuda.device_count()
    if kind == "mps":
        return torch.backends.mps.is_available() and index == 0
    return True  # torch gives every index of "cpu" the same meaning
