"""Which device to compute on.

Raises:  ConfigError for a device that is unknown, MissingDeviceError for one that is not in this machine.
"""

import torch

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


def _is_here(kind: str, index: int = 0) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available() and index < torch.cuda.device_count()
    if kind == "mps":
        return torch.backends.mps.is_available() and index == 0
    return True  # torch gives every index of "cpu" the same meaning
