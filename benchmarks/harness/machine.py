"""The machine and the software of a run."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

import arena_lib
from benchmarks.harness.packages import find_versions

CPU_INFO = Path("/proc/cpuinfo")


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, cores and threads that this process may use, bytes of memory, GPU (or None) and system."""
    return {
        "cpu": find_cpu_name(),
        "n_cores": _count_cores(),
        "n_threads": torch.get_num_threads(),
        "memory": _count_memory(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "system": platform.platform(),
    }


def find_cpu_name(path: Path = CPU_INFO) -> str:
    """The processor's model where the system tells it, else its kind."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _count_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def describe_software(requirements: Iterable[str]) -> dict[str, str]:
    """Versions of Python, torch, CUDA, this library, and of each required distribution that is here."""
    versions = {"python": platform.python_version(), "torch": torch.__version__, "arena_lib": arena_lib.__version__}
    if torch.version.cuda is not None:
        versions["cuda"] = torch.version.cuda
    return versions | find_versions(requirements)
