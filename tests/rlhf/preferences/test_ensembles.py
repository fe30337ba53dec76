"""Combinations in plain numbers, and that each lies below the mean."""

import pytest
import torch
from tests.rlhf.lora.small_models import make_llama
from tests.rlhf.preferences.small_answers import PROMPTS, RESPONSES

from arena_lib.errors import ConfigError
from arena_lib.rlhf.preferences.answers import make_answers
from arena_lib.rlhf.preferences.ensembles import RewardEnsemble, combine_mean_minus_std, combine_worst_case
from arena_lib.rlhf.preferences.reward_model import RewardModel


def test_combinations_in_plain_numbers():
    rewards = torch.tensor([[1.0, 4.0], [3.0, 2.0], [5.0, 0.0]])
    assert combine_worst_case(rewards).tolist() == [1.0, 0.0]
    assert combine_mean_minus_std(rewards).tolist() == pytest.approx([1.0, 0.0])
    assert combine_mean_minus_std(rewards, caution=0.25).tolist() == pytest.approx([2.5, 1.5])
    assert combine_mean_minus_std(rewards, caution=0.0).tolist() == pytest.approx([3.0, 2.0])


def test_where_models_agree_nothing_is_taken_off():
    rewards = torch.tensor([[0.5, -2.0]]).expand(4, 2)
    assert torch.allclose(combine_worst_case(rewards), rewards[0])
    assert torch.allclose(combine_mean_minus_std(rewards, 3.0), rewards[0])


@pytest.mark.parametrize("combine", [combine_worst_case, combine_mean_minus_std])
def test_an_ensemble_scores_what_its_models_say(combine):
    models = [RewardModel(make_llama(), torch.Generator().manual_seed(seed)) for seed in range(3)]
    ensemble, answers = RewardEnsemble(models, combine), make_answers(PROMPTS, RESPONSES)
    each = torch.stack([model(answers.tokens, answers.attention_mask) for model in models])
    expected = combine(each)
    assert torch.allclose(ensemble(answers.tokens, answers.attention_mask), expected, atol=1e-12)
    assert torch.allclose(ensemble.score(answers, batch_size=2), expected.detach(), atol=1e-12)
    assert (expected < each.mean(dim=0)).all()
    assert expected.shape == (3,)


def test_what_cannot_work_is_refused():
    model = RewardModel(make_llama())
    with pytest.raises(ConfigError, match="must have two models at least: got 1"):
        RewardEnsemble([model])
    with pytest.raises(ConfigError, match="caution must be finite and at least 0: got -1"):
        combine_mean_minus_std(torch.randn(2, 3), -1.0)
