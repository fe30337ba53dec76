"""Rollouts for learning from rewards: sampling after beginnings of stories, by the bundled tiny-llama.

Both draw from the softmax, at a temperature so low that it is always the likeliest token: so the texts can be compared, and
a draw costs what it costs at any temperature. Ours returns each token's log-probability too, which learning needs;
transformers' `generate` returns the tokens alone. No text ends early. Prompts are padded on the left.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from arena_lib import zoo
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rollouts import draw_rollouts
from arena_lib.transformer.fast.model import Transformer
from benchmarks.harness.declaring import Benchmark, Disagreement, Goal, Place, Run, Workload
from benchmarks.paths.generation import check_choices

MODEL = "tiny-llama"
TEMPERATURE = 1e-4
"""At which tokens whose logits differ by a thousandth are e^10 apart in probability."""


@dataclass(frozen=True)
class Phase:
    """What a rollout phase draws."""

    n_prompts: int
    n_samples: int
    gen_len: int


SIZES: Mapping[tuple[str, str], Phase] = {
    ("groups", "tiny"): Phase(3, 2, 5),
    ("groups", "cpu"): Phase(8, 8, 32),
    ("groups", "gpu"): Phase(64, 8, 32),
    ("singles", "tiny"): Phase(5, 1, 6),
    ("singles", "cpu"): Phase(64, 1, 32),
    ("singles", "gpu"): Phase(512, 1, 32),
}


def make(place: Place) -> Workload:
    """Runs return the tokens, prompts included."""
    model, phase = zoo.load(MODEL), SIZES[place.case, place.size]
    assert isinstance(model, Transformer)
    model = model.to(place.device, place.dtype).eval()
    prompts = make_story_prompts(phase.n_prompts).to(place.device)
    n_prompt = prompts.tokens.shape[1]
    n_padding = (~prompts.attention_mask).sum(dim=1).repeat_interleave(phase.n_samples).tolist()

    def run_ours() -> Tensor:
        generator = torch.Generator(place.device).manual_seed(0)
        settings = {"n_samples": phase.n_samples, "temperature": TEMPERATURE, "generator": generator}
        return draw_rollouts(model, prompts, phase.gen_len, **settings).tokens

    def run_huggingface() -> Run:
        from transformers import AutoModelForCausalLM

        twin = AutoModelForCausalLM.from_pretrained(zoo.path(MODEL)).to(place.device, place.dtype).eval()
        settings = {
            "attention_mask": prompts.attention_mask.long(),
            "num_return_sequences": phase.n_samples,
            "do_sample": True,
            "temperature": TEMPERATURE,
            "top_k": 0,
            "top_p": 1.0,
            "eos_token_id": None,
            "pad_token_id": 0,
            "max_new_tokens": phase.gen_len,
        }
        return lambda: twin.generate(prompts.tokens, **settings)

    def agree(ours: Tensor, theirs: Tensor) -> float:
        if ours.shape != theirs.shape:
            raise Disagreement(f"the texts have different shapes: {tuple(ours.shape)} and {tuple(theirs.shape)}")
        return check_choices(model, ours, theirs, n_prompt, n_padding)

    return Workload(
        ours=run_ours,
        peers={"huggingface": run_huggingface},
        agree=agree,
        units=phase.n_prompts * phase.n_samples * phase.gen_len,
    )


BENCHMARK = Benchmark(
    name="rollouts",
    title="Rollouts with their log-probabilities",
    cases={"groups": "eight samples of each prompt", "singles": "one sample of each prompt"},
    unit="tokens",
    make=make,
    dtypes={"cpu": ("float32",), "cuda": ("float32",)},
    peers=("huggingface",),
    peer_packages={"huggingface": "transformers"},
    goals=(Goal("groups", "huggingface", 1.0, on="cpu"), Goal("singles", "huggingface", 1.0, on="cpu")),
)
