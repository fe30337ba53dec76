import dataclasses

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.path import names_to_keep


def test_a_missing_cache_is_made_and_one_that_is_there_kept(model_of, prompts):
    lm = hooked(model_of("gpt2"))
    names = names_to_keep(lm)
    kept = {"blocks.1.attn.hook_z": torch.zeros(2, 3)}
    experiment = PathExperiment(*prompts, new_cache=kept).with_caches(lm, names)
    assert experiment.new_cache is kept
    assert set(experiment.orig_cache) == set(names)
    expected = lm.run_with_cache(prompts[0], names)[1]
    for name in names:
        torch.testing.assert_close(experiment.orig_cache[name], expected[name])


def test_an_experiment_does_not_change(model_of, prompts):
    experiment = PathExperiment(*prompts)
    experiment.with_caches(hooked(model_of("gpt2")), [])
    assert experiment.orig_cache is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.through = "direct"


def test_prompts_that_do_not_align_and_unknown_paths_are_refused(prompts):
    orig, new = prompts
    for other in (new[:2], new[:, :5]):
        with pytest.raises(ShapeError, match="clean and corrupted prompts must have the same shape"):
            PathExperiment(orig, other)
    experiment = PathExperiment(orig, new)
    object.__setattr__(experiment, "through", "heads")  # around the types, which our test run checks
    with pytest.raises(ConfigError, match="through must be 'direct' or 'mlps': got 'heads'"):
        experiment.__post_init__()
