import os
import random
import sys

import numpy as np
import pytest
import torch

from arena_lib.checking.isolation import isolated


def spoil(tmp_path):
    random.random()
    np.random.rand()
    torch.rand(3)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.autograd.set_detect_anomaly(True)
    os.chdir(tmp_path)
    sys.path.insert(0, str(tmp_path))
    os.environ["ARENA_SPOILED"] = "1"


def state():
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_anomaly_enabled(),
        os.getcwd(),
        list(sys.path),
        dict(os.environ),
    )


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_before(tmp_path, fails):
    before = state()
    try:
        with isolated(0):
            spoil(tmp_path)
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert state() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that somebody is in")
@pytest.mark.parametrize("is_deleted_before", [True, False])
def test_a_folder_that_was_deleted_is_left_alone(tmp_path, monkeypatch, is_deleted_before):
    monkeypatch.chdir(tmp_path)
    gone, elsewhere = tmp_path / "gone", tmp_path / "elsewhere"
    gone.mkdir()
    elsewhere.mkdir()
    os.chdir(gone)
    if is_deleted_before:
        gone.rmdir()
    path = list(sys.path)
    with isolated(0):
        os.chdir(elsewhere)
        sys.path.insert(0, "gone")
        if not is_deleted_before:
            gone.rmdir()
    assert os.getcwd() == str(elsewhere)
    assert sys.path == path


def test_plotting_defaults_are_as_before():
    import plotly.io

    before = plotly.io.templates.default
    with isolated(0):
        plotly.io.templates.default = "none"
    assert plotly.io.templates.default == before


def test_plotly_s_renderer_is_put_back_and_not_set_again_if_nothing_changed(monkeypatch):
    """Each setting makes a notebook carry plotly's script once more."""
    import plotly.io

    plain = type(plotly.io.renderers).default
    settings = []

    def note(renderers, value):
        settings.append(value)
        plain.fset(renderers, value)

    before = plotly.io.renderers.default
    monkeypatch.setattr(type(plotly.io.renderers), "default", property(plain.fget, note))
    with isolated(0):
        pass
    assert settings == []
    with isolated(0):
        plotly.io.renderers.default = "json"
    assert settings == ["json", before]
    assert plotly.io.renderers.default == before


def test_block_starts_from_the_seed_with_gradients_on():
    torch.set_grad_enabled(False)
    try:
        with isolated(3):
            first = (random.random(), np.random.rand(), torch.rand(1).item(), torch.is_grad_enabled())
        with isolated(3):
            again = (random.random(), np.random.rand(), torch.rand(1).item(), torch.is_grad_enabled())
    finally:
        torch.set_grad_enabled(True)
    assert first == again
    assert first[-1]
    with isolated(4):
        assert random.random() != first[0]


def test_bars_and_warnings_are_silent_within(capsys):
    import warnings

    from arena_lib.core.progress import progress

    with isolated(0):
        warnings.warn("not shown", stacklevel=1)
        list(progress(range(3), "not drawn"))
    assert capsys.readouterr().err == ""
