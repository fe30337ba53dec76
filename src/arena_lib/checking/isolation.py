"""Leaves the process as it was: random states, grad mode, default dtype, folders, plotting defaults.

Within it only the learner's own code prints: no progress bars, no warnings.
"""

import contextlib
import copy
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Runs the block with global seeds, grad mode and defaults of its own, and puts the caller's back."""
    restorers = [save() for save in (_randomness, _torch_modes, _process, _plotting)]
    try:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        os.environ["ARENA_QUIET"] = "1"
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for restore in restorers:
            restore()


def _randomness() -> Callable[[], None]:
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)

    return restore


def _torch_modes() -> Callable[[], None]:
    grad, dtype, device = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()
    anomaly, threads = torch.is_anomaly_enabled(), torch.get_num_threads()

    def restore() -> None:
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
        torch.set_default_device(None if device.type == "cpu" else device)
        torch.autograd.set_detect_anomaly(anomaly)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

    return restore


def _process() -> Callable[[], None]:
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # it was deleted: there is nothing to come back to
        folder = None
    path, environment = list(sys.path), dict(os.environ)

    def restore() -> None:
        if folder is not None:
            with contextlib.suppress(FileNotFoundError):
                os.chdir(folder)
        # Not for imports of our own: a learner's code may change it, and that must end with its test.
        sys.path[:] = path
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)

    return restore


def _plotting() -> Callable[[], None]:
    """Only what is loaded already is looked at: nothing is imported for this."""
    matplotlib, plotly = sys.modules.get("matplotlib"), sys.modules.get("plotly.io")
    rc: Any = copy.copy(matplotlib.rcParams) if matplotlib else None
    pyplot = sys.modules.get("matplotlib.pyplot")
    figures = set(pyplot.get_fignums()) if pyplot else set()
    template, renderer = (plotly.templates.default, plotly.renderers.default) if plotly else (None, None)

    def restore() -> None:
        if matplotlib:
            matplotlib.rcParams.update(rc)
        if pyplot:
            for number in set(pyplot.get_fignums()) - figures:
                pyplot.close(number)
        if plotly and plotly.templates.default != template:
            plotly.templates.default = template
        # Setting a renderer, even to what it is, makes a notebook carry plotly's script (5 MB) once more.
        if plotly and plotly.renderers.default != renderer:
            plotly.renderers.default = renderer

    return restore
