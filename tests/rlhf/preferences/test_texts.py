"""A reward model judges texts as it judges their tokens, alone or among others."""

import torch

from arena_lib import zoo
from arena_lib.rlhf.preferences.answers import make_answers
from arena_lib.rlhf.preferences.ensembles import RewardEnsemble, combine_mean_minus_std
from arena_lib.rlhf.preferences.reward_model import RewardModel
from arena_lib.rlhf.preferences.texts import encode_texts, make_reward_fn
from arena_lib.rlhf.rewards.checking import compute_rewards
from arena_lib.storyworld import encode_words

TEXTS = ["Mary felt glad.", "Tom had a box. He was sad.", ""]
WORDS = [["Mary", "felt", "glad", "."], ["Tom", "had", "a", "box", ".", "He", "was", "sad", "."]]


def test_texts_begin_with_the_beginning_and_have_no_end():
    answers = encode_texts(zoo.load("tiny-llama"), TEXTS)
    rows = [row[real].tolist() for row, real in zip(answers.tokens, answers.attention_mask, strict=True)]
    assert rows == [[0, *encode_words(words)] for words in WORDS] + [[0]]
    assert answers.n_prompt == 1
    assert answers.is_response.sum(dim=1).tolist() == [4, 9, 0]


def test_the_reward_function_gives_what_the_model_gives_their_tokens():
    models = [RewardModel(zoo.load("tiny-llama"), torch.Generator().manual_seed(seed)) for seed in range(2)]
    reward_fn = make_reward_fn(models[0], batch_size=2)
    rewards = compute_rewards(reward_fn, TEXTS)
    alone = make_answers([[0]] * 2, [encode_words(words) for words in WORDS])
    assert torch.allclose(rewards[:2], models[0].score(alone), atol=1e-5)
    assert torch.allclose(rewards[1], compute_rewards(reward_fn, TEXTS[1:2])[0], atol=1e-5)
    assert not rewards.requires_grad

    both = compute_rewards(make_reward_fn(RewardEnsemble(models, combine_mean_minus_std)), TEXTS)
    each = torch.stack([compute_rewards(make_reward_fn(model), TEXTS) for model in models])
    assert torch.allclose(both, each.mean(dim=0) - each.std(dim=0), atol=1e-5)
    assert (each[0] - each[1]).abs().min() > 0


def test_empty_texts_alone_have_a_reward():
    model = RewardModel(zoo.load("tiny-llama"))
    assert compute_rewards(make_reward_fn(model), [""]).shape == (1,)


def test_a_text_that_fills_the_context_has_a_reward():
    model = RewardModel(zoo.load("tiny-llama"))
    text = " ".join(["Mary"] * (model.cfg.n_ctx - 1))
    assert compute_rewards(make_reward_fn(model), [text]).shape == (1,)
