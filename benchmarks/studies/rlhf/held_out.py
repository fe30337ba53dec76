"""How good a policy is on prompts that it isn't trained on: rewards, KL from the reference, and samples to read."""

from collections.abc import Mapping
from typing import Any

import torch

from arena_lib import zoo
from arena_lib.rlhf.logprobs import compute_response_logprobs
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rewards.checking import RewardFn
from arena_lib.rlhf.rewards.moods import reward_fn_good_moods
from arena_lib.rlhf.rewards.sentences import reward_fn_new_sentences
from arena_lib.rlhf.rollouts import Rollouts, draw_rollouts
from arena_lib.transformer.fast.model import Transformer

MODEL = "tiny-llama"
GEN_LEN = 32
"""Tokens of a response at most."""
N_HELD_OUT = 256
"""Held-out prompts, with a sample of each."""
N_SHOWN = 2
"""Samples that are kept as text."""
REWARDS: Mapping[str, RewardFn] = {"proxy": reward_fn_good_moods, "true": reward_fn_new_sentences}
"""The proxy counts mood words; the truth is the share of sentences that are grammatical and new."""


def load_policy() -> Transformer:
    """A fresh copy of the bundled model."""
    model = zoo.load(MODEL)
    assert isinstance(model, Transformer)
    return model


def read_texts(model: Transformer, rollouts: Rollouts) -> list[str]:
    """The responses as text, without end-of-text."""
    assert model.tokenizer is not None
    end = model.tokenizer.eos_token_id
    return [model.tokenizer.decode([token for token in row if token != end]) for row in rollouts.responses]


@torch.no_grad()
def measure(policy: Transformer, reference: Transformer, rewards: Mapping[str, RewardFn] = REWARDS) -> dict[str, Any]:
    """Mean of each reward, KL in nats for each sample and its standard error, over the same held-out prompts each time."""
    prompts = make_story_prompts(N_HELD_OUT, seed=0, split="test")
    generator = torch.Generator().manual_seed(0)
    assert policy.tokenizer is not None
    rollouts = draw_rollouts(policy, prompts, GEN_LEN, end_of_text=policy.tokenizer.eos_token_id, generator=generator)
    ref_logprobs = compute_response_logprobs(
        reference, rollouts.tokens, rollouts.n_prompt, attention_mask=rollouts.attention_mask
    )
    kl = (rollouts.logprobs - ref_logprobs).where(rollouts.is_response, 0.0).sum(dim=1)
    texts = read_texts(policy, rollouts)
    return {
        **{name: float(reward_fn(texts).mean()) for name, reward_fn in rewards.items()},
        "kl": float(kl.mean()),
        "kl_error": float(kl.std() / len(kl) ** 0.5),
        "length": float(rollouts.is_response.sum(dim=1).float().mean()),
        "samples": texts[:N_SHOWN],
    }
