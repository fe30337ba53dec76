"""What learners hand in for the sampler: right in other ways, and wrong."""

import importlib

import pytest
import torch

from arena_lib.checking import run
from arena_lib.transformer.sampling import SamplingConfig, sample_next_token

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


class Sampler:
    """Asks the tokenizer for tensors, and takes no generator."""

    def __init__(self, model, tokenizer):
        self.model, self.cfg, self.tokenizer = model, model.cfg, tokenizer

    @torch.inference_mode()
    def sample(self, prompt, max_tokens_generated=100, verbose=False, **kwargs):
        ids = self.tokenizer.encode(prompt, return_tensors="pt")[0]
        for _ in range(max_tokens_generated):
            context = ids[None, -self.cfg.n_ctx :] if self.cfg.n_ctx else ids[None]
            token = sample_next_token(ids, self.model(context)[0, -1], SamplingConfig(**kwargs))
            if token == getattr(self.tokenizer, "eos_token_id", None):
                break
            ids = torch.cat([ids, torch.tensor([token])])
        return self.tokenizer.decode(ids)


class SamplerThatIgnoresItsGenerator(Sampler):
    def sample(self, prompt, max_tokens_generated=100, verbose=False, generator=None, **kwargs):
        return super().sample(prompt, max_tokens_generated, verbose, **kwargs)


def test_sampler_without_a_generator_passes():
    assert run(judges.test_sample, Sampler).status == "passed"


def test_an_ignored_generator_is_named():
    assert run(judges.test_sample, SamplerThatIgnoresItsGenerator).diagnosis.mistake == "ignores the generator"


class SamplerWithAPenaltyOf(Sampler):
    """Counts a part of the text for the penalty."""

    @staticmethod
    def counted(ids, n_prompt):
        return ids

    def sample(self, prompt, max_tokens_generated=100, verbose=False, generator=None, **kwargs):
        ids = torch.tensor(self.tokenizer.encode(prompt))
        n_prompt = len(ids)
        for _ in range(max_tokens_generated):
            context = ids[None, -(self.cfg.n_ctx or len(ids)) :]
            logits = self.model(context)[0, -1]
            token = sample_next_token(self.counted(ids, n_prompt), logits, SamplingConfig(**kwargs), generator)
            if token == self.tokenizer.eos_token_id:
                break
            ids = torch.cat([ids, torch.tensor([token])])
        return self.tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("counted", "mistake"),
    [
        (lambda ids, n_prompt: ids[n_prompt:], "leaves the prompt out of the penalty"),
        (lambda ids, n_prompt: ids[:n_prompt], "counts only the prompt for the penalty"),
    ],
)
def test_what_the_penalty_leaves_out_is_named(counted, mistake):
    assert run(judges.test_sample, SamplerWithAPenaltyOf).status == "passed"
    wrong = type("TransformerSampler", (SamplerWithAPenaltyOf,), {"counted": staticmethod(counted)})
    assert run(judges.test_sample, wrong).diagnosis.mistake == mistake
