"""A few answers of uneven length, and pairs of them whose truth is known."""

import torch

from arena_lib.rlhf.preferences.answers import make_answers
from arena_lib.rlhf.preferences.labels import make_pairs

PROMPTS, RESPONSES = [[3, 4], [5, 6, 7], [8]], [[9, 2], [1], [4, 11, 12]]


def four():
    return make_answers([[1], [2, 3], [4], [5]], [[6, 7, 0], [8], [9, 0], [10, 11, 12]], filling=99)


def make_set(seed, n_prompts=60, noise=0.0):
    """Answers of one to four tokens, worth one for each token 3."""
    generator = torch.Generator().manual_seed(seed)
    prompts, responses = [], []
    for _ in range(n_prompts):
        prompt = torch.randint(1, 17, (2,), generator=generator).tolist()
        for _ in range(2):
            length = int(torch.randint(1, 5, (), generator=generator))
            prompts.append(prompt)
            responses.append(torch.randint(1, 5, (length,), generator=generator).tolist())
    rewards = torch.tensor([float(response.count(3)) for response in responses])
    return make_pairs(make_answers(prompts, responses), rewards, 2, noise, generator=generator)
