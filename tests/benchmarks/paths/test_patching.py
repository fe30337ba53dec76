"""The paths of patching: their agreement refuses wrong implementations, and ours does less work than the loops."""

import pytest
import torch
from benchmarks.harness.declaring import Disagreement, Place
from benchmarks.paths import activation_patching, attribution_patching, path_patching
from benchmarks.paths._patching import make_task, quietly
from benchmarks.sizes import TINY, Shape
from torch.utils.flop_counter import FlopCounterMode

from arena_lib.interp.patching.activation import get_act_patch_attn_head_all_pos_every, get_act_patch_block_every
from arena_lib.interp.patching.direct_path import direct_path_logits
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.nodes import FinalResidual, Head
from arena_lib.interp.patching.path import get_path_patch_head_to_final_resid_post
from arena_lib.interp.patching.path_fast import path_patch_heads
from arena_lib.interp.patching.sweeps import EVERY_HEAD_SITE, sweep_blocks, sweep_every_block, sweep_heads
from arena_lib.transformer.fast.gpt2 import GPT2Config

CASES = [(path, case) for path in (activation_patching, path_patching) for case in path.BENCHMARK.cases]
CPU = torch.device("cpu")

LIKE_GPT2 = GPT2Config(
    d_model=48, d_vocab=3144, n_ctx=20, n_layers=12, n_heads=3, d_head=16, d_mlp=192, tie_embeddings=True
)
"""GPT-2 small's layers, and its ratios of widths: shares of the work are the same."""
MOST = 0.45
"""The largest share of a plain loop's floating-point operations that patching may take."""


@pytest.mark.parametrize(("path", "case"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_the_loop_agrees_and_wrong_effects_do_not(path, case):
    workload = path.BENCHMARK.make(Place(CPU, torch.float32, "tiny", case))
    with torch.inference_mode():
        ours, loop = workload.ours(), workload.peers["lesson-loop"]()()
    assert workload.agree(ours, loop) < 1e-4
    # Only the mean is right; heads or positions are one off; the other direction; a path that was left out.
    wrong = [loop.mean().expand(loop.shape), loop.roll(1, -1), -loop, torch.zeros_like(loop)]
    missing = loop.clone()
    missing[..., 0, 1] = 0
    for values in [*wrong, missing]:
        with pytest.raises(Disagreement):
            workload.agree(values, loop)


def test_attribution_agrees_with_the_recipe_and_not_with_patching_itself():
    workload = attribution_patching.BENCHMARK.make(Place(CPU, torch.float32, "tiny", "batch"))
    ours, recipe = workload.ours(), workload.peers["own-hooks"]()()
    assert workload.agree(ours, recipe) < 1e-4
    with pytest.raises(Disagreement):
        workload.agree(ours.roll(1, -1), recipe)
    task = make_task(Place(CPU, torch.float32, "tiny", "batch"), TINY, Shape(2, 9))
    patch = quietly(
        lambda: sweep_heads(task.model, task.orig, task.caches(task.model)[1], task.metric, by_position=True)
    )
    with pytest.raises(Disagreement):
        workload.agree(ours[:, :-1], patch())


# -- facts that need no stopwatch ------------------------------------------------------------------


def count(run):
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        quietly(run)()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def task():
    return make_task(Place(CPU, torch.float32, "cpu", "heads"), LIKE_GPT2, Shape(1, 12))


@pytest.fixture(scope="module")
def caches(task):
    return task.caches(task.model)


def one_run(task):
    return count(lambda: task.model(task.orig))


@pytest.mark.parametrize("site", EVERY_HEAD_SITE)
def test_patching_every_head_takes_less_than_half_of_the_loop_s_operations(task, caches, site):
    given = (task.model, task.orig, caches[1], task.metric)
    heads = task.model.cfg.n_layers * task.model.cfg.n_heads
    assert count(lambda: sweep_heads(*given, site, read_at=-1)) <= MOST * heads * one_run(task)


def test_the_loop_takes_a_run_for_each_patch(task, caches):
    """What the other tests compare with is what the loop really takes."""
    given = (task.model, task.orig, caches[1], task.metric)
    heads = task.model.cfg.n_layers * task.model.cfg.n_heads
    # A pattern that is patched has its two products counted apart, not as one fused operation.
    assert count(lambda: get_act_patch_attn_head_all_pos_every(*given)) >= 5 * heads * one_run(task)
    positions = task.model.cfg.n_layers * task.orig.shape[1]
    assert count(lambda: get_act_patch_block_every(*given)) == 3 * positions * one_run(task)


@pytest.mark.parametrize("site", ["resid_pre", "attn_out", "mlp_out"])
def test_patching_every_block_takes_less_than_half_of_the_loop_s_operations(task, caches, site):
    given = (task.model, task.orig, caches[1], task.metric)
    positions = task.model.cfg.n_layers * task.orig.shape[1]
    assert count(lambda: sweep_blocks(*given, site, read_at=-1)) <= MOST * positions * one_run(task)
    assert count(lambda: sweep_every_block(*given, read_at=-1)) <= MOST * 3 * positions * one_run(task)


def test_path_patching_takes_a_small_part_of_the_loop_s_operations(task, caches):
    cfg = task.model.cfg
    orig, new = caches
    loop = count(
        lambda: get_path_patch_head_to_final_resid_post(task.model, task.metric, task.new, task.orig, new, orig)
    )
    heads = cfg.n_layers * cfg.n_heads
    assert loop >= heads * one_run(task)
    experiment = PathExperiment(task.orig, task.new, read_at=-1, orig_cache=orig, new_cache=new)
    assert count(lambda: path_patch_heads(task.model, experiment, [FinalResidual()], task.metric)) <= loop / 10
    senders = [Head(layer, head) for layer in range(cfg.n_layers) for head in range(cfg.n_heads)]
    closed = count(lambda: direct_path_logits(task.model, orig, new, senders, read_at=-1, tokens=task.answers))
    assert closed <= loop / 1000


@pytest.mark.parametrize("case", ["to_queries", "one_to_queries"])
def test_path_patching_to_heads_takes_less_than_half_of_the_loop_s_operations(case):
    task = make_task(Place(CPU, torch.float32, "cpu", case), LIKE_GPT2, Shape(1, 12))
    caches = task.caches(task.model)
    ours, loop = path_patching.CASES[case]
    assert count(lambda: ours(task, caches)) <= MOST * count(lambda: loop(task, caches))
