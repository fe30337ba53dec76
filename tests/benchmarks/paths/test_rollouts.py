"""The path of rollouts: both sides draw the likeliest tokens, and other tokens are refused."""

import pytest
import torch
from benchmarks.harness.declaring import Disagreement, Place
from benchmarks.paths.rollouts import BENCHMARK, SIZES

from arena_lib import zoo
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.transformer.fast.generation import generate


def make(case):
    return BENCHMARK.make(Place(torch.device("cpu"), torch.float32, "tiny", case))


@torch.inference_mode()
@pytest.mark.parametrize("case", BENCHMARK.cases)
def test_all_samples_are_what_greedy_writing_gives_and_what_transformers_draws(case):
    workload, phase = make(case), SIZES[case, "tiny"]
    ours, prompts = workload.ours(), make_story_prompts(phase.n_prompts)
    greedy = generate(zoo.load("tiny-llama"), prompts.tokens, phase.gen_len, attention_mask=prompts.attention_mask)
    assert torch.equal(ours, greedy.repeat_interleave(phase.n_samples, dim=0))
    assert workload.agree(ours, workload.peers["huggingface"]()()) == 0


@torch.inference_mode()
def test_another_choice_is_a_disagreement():
    workload = make("groups")
    ours = workload.ours()
    other = ours.clone()
    other[-1, -1] = (other[-1, -1] + 1) % 100
    with pytest.raises(Disagreement, match="texts part at token"):
        workload.agree(ours, other)
