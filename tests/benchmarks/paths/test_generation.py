"""The path of generation: uneven prompts are written as each alone, and agreement refuses other texts."""

import pytest
import torch
from benchmarks.harness.declaring import Disagreement, Place
from benchmarks.paths.generation import BENCHMARK, SIZES, count_padding
from benchmarks.sizes import make_gpt2

from arena_lib.transformer.fast.generation import generate

PLACE = Place(torch.device("cpu"), torch.float32, "tiny", "uneven")


@torch.inference_mode()
def test_uneven_prompts_are_written_as_each_is_alone_and_as_transformers_writes_them():
    workload, writing = BENCHMARK.make(PLACE), SIZES["uneven", "tiny"]
    ours = workload.ours()
    n_padding = count_padding("uneven", writing.prompts).tolist()
    assert n_padding == [4, 2, 0]
    for text, n_skipped in zip(ours, n_padding, strict=True):
        alone = generate(make_gpt2(PLACE), text[None, n_skipped : writing.prompts.seq], writing.n_new)
        torch.testing.assert_close(text[None, n_skipped:], alone)
    assert set(workload.peers) == {"huggingface"}
    assert workload.agree(ours, workload.peers["huggingface"]()()) == 0


@torch.inference_mode()
def test_another_choice_is_a_disagreement():
    workload = BENCHMARK.make(PLACE)
    ours = workload.ours()
    other = ours.clone()
    other[0, -1] += 1
    with pytest.raises(Disagreement, match="texts part at token 10"):
        workload.agree(ours, other)
