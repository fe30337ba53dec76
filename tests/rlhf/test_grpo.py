"""GRPO's loss against plain loops and against trl; masks; what the trainer learns from."""

import math
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.grpo import GrpoConfig, GrpoTrainer, average_over_tokens, calc_clipped_terms, grpo_loss
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rewards.characters import reward_fn_char_count

IS_RESPONSE = torch.arange(5) < torch.tensor([5, 1, 3, 4])[:, None]
NAMES = {"sequence": "grpo", "token": "bnpo", "constant": "dr_grpo"}
"""What trl calls each way of averaging."""


def draw_inputs(seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Log-probabilities of now, then and the reference, and advantages; some ratios are beyond the clip."""
    generator = torch.Generator().manual_seed(seed)
    now, then, reference = (-torch.rand(4, 5, generator=generator, dtype=torch.float64) for _ in range(3))
    return now.requires_grad_(), then, reference, torch.randn(4, generator=generator, dtype=torch.float64)


def plain_loss(now, then, reference, advantages, clip_coef, kl_coef, normalization):
    """The paper's sums, token by token."""
    per_sample = []
    for row in range(4):
        terms = []
        for t in range(int(IS_RESPONSE[row].sum())):
            ratio = math.exp(now[row, t] - then[row, t])
            clipped = min(max(ratio, 1 - clip_coef), 1 + clip_coef)
            r = math.exp(reference[row, t] - now[row, t])
            gain = min(ratio * advantages[row], clipped * advantages[row])
            terms.append(float(gain - kl_coef * (r - math.log(r) - 1)))
        per_sample.append(terms)
    total = sum(map(sum, per_sample))
    if normalization == "sequence":
        return -sum(sum(terms) / len(terms) for terms in per_sample) / 4
    return -total / (sum(map(len, per_sample)) if normalization == "token" else 4 * 5)


@pytest.mark.parametrize("normalization", list(NAMES))
@pytest.mark.parametrize("kl_coef", [0.0, 0.3])
def test_the_loss_is_the_papers_sum(normalization, kl_coef):
    inputs = draw_inputs()
    ours = grpo_loss(*inputs, IS_RESPONSE, 0.2, kl_coef, normalization)
    plain = [x.detach() for x in inputs]
    assert ours.item() == pytest.approx(plain_loss(*plain, 0.2, kl_coef, normalization), rel=1e-9)


def alone(x, **_):
    """What a process that has no others gets of a collective."""
    return x


def loss_of_trl(now, then, reference, advantages, clip_coef, kl_coef, loss_type):
    """trl's own method, asked with log-probabilities in place of a model."""
    trainer = pytest.importorskip("trl.trainer.grpo_trainer", reason="comes with the group `agreement`").GRPOTrainer
    off = ("aux_loss_enabled", "use_vllm", "_entropy_bonus_enabled", "use_adaptive_entropy", "use_liger_kernel")
    on_off = dict.fromkeys(off, False)
    settings = SimpleNamespace(use_bias_correction_kl=False, delta=None)
    stub = SimpleNamespace(
        **on_off,
        _get_per_token_logps_and_entropies=lambda *_, **__: (now, torch.zeros_like(now), None),
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        beta=kl_coef,
        args=settings,
        loss_type=loss_type,
        epsilon_low=clip_coef,
        epsilon_high=clip_coef,
        max_completion_length=5,
        current_gradient_accumulation_steps=1,
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(gather=alone, gather_for_metrics=alone, reduce=alone),
        _metrics=defaultdict(lambda: defaultdict(list)),
    )
    tokens, mask = torch.zeros(4, 5, dtype=torch.long), IS_RESPONSE.long()
    inputs = {"prompt_ids": tokens, "prompt_mask": torch.ones_like(tokens), "completion_ids": tokens}
    inputs |= {"completion_mask": mask, "advantages": advantages}
    inputs |= {"old_per_token_logps": then, "ref_per_token_logps": reference}
    return trainer._compute_loss(stub, None, inputs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("normalization", list(NAMES))
def test_loss_and_gradient_are_those_of_trl(normalization):
    results = []
    for is_ours in (True, False):
        inputs = draw_inputs(seed=1)
        if is_ours:
            loss = grpo_loss(*inputs, IS_RESPONSE, 0.2, 0.3, normalization)
        else:
            loss = loss_of_trl(*inputs, 0.2, 0.3, NAMES[normalization])
        loss.backward()
        results.append((loss.detach(), inputs[0].grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("normalization", list(NAMES))
def test_what_fills_a_row_changes_neither_loss_nor_gradient(normalization):
    results = []
    for filling in (0.0, 1e30, torch.inf, torch.nan):
        now, then, reference, advantages = draw_inputs()
        now = now.detach().masked_fill(~IS_RESPONSE, filling).requires_grad_()
        reference = reference.masked_fill(~IS_RESPONSE, -filling)
        loss = grpo_loss(now, then, reference, advantages, IS_RESPONSE, 0.2, 0.3, normalization)
        loss.backward()
        assert (now.grad[~IS_RESPONSE] == 0).all()
        results.append((loss.detach(), now.grad))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


def test_before_the_first_update_the_gradient_is_the_advantage():
    now, _, _, advantages = draw_inputs()
    grpo_loss(now, now.detach(), now.detach(), advantages, IS_RESPONSE, 0.2, 0.3, "constant").backward()
    torch.testing.assert_close(now.grad, (-advantages[:, None] * IS_RESPONSE / 20))


def test_the_gradient_stops_where_the_policy_went_too_far_in_the_right_direction():
    now = torch.tensor([[0.5, -0.5, 0.1], [0.5, -0.5, 0.1]], requires_grad=True)
    calc_clipped_terms(now, torch.zeros(2, 3), torch.tensor([1.0, -1.0]), 0.2).sum().backward()
    assert (now.grad == 0).tolist() == [[True, False, False], [False, True, False]]


def test_each_way_of_averaging_has_its_own_weight_for_a_token():
    weights = {}
    for normalization in NAMES:
        terms = torch.ones(4, 5, requires_grad=True)
        average_over_tokens(terms, IS_RESPONSE, normalization).backward()
        weights[normalization] = terms.grad
    n_drawn = IS_RESPONSE.sum()
    torch.testing.assert_close(weights["sequence"], IS_RESPONSE / IS_RESPONSE.sum(dim=1, keepdim=True) / 4)
    torch.testing.assert_close(weights["token"], IS_RESPONSE / n_drawn)
    torch.testing.assert_close(weights["constant"], IS_RESPONSE / 20)


def test_other_ways_and_other_masks_are_refused(without_types):
    with pytest.raises(ConfigError, match="'sequence', 'token', 'constant': got 'mean'"):
        average_over_tokens(torch.ones(4, 5), IS_RESPONSE, "mean")
    with pytest.raises(ShapeError, match=r"\(4, 6\)"):
        average_over_tokens(torch.ones(4, 6), IS_RESPONSE)


# -- the trainer ------------------------------------------------------------------------------


def make_trainer(**settings) -> GrpoTrainer:
    config = GrpoConfig(**{"n_steps": 4, "n_prompts": 2, "group_size": 3, "gen_len": 6, **settings})
    return GrpoTrainer(zoo.load("tiny-llama"), config, make_story_prompts(5), reward_fn_char_count)


def test_memory_has_the_advantage_of_each_sample_in_its_group():
    memory = make_trainer(is_scaled=False).rollout_phase()
    groups = memory.rewards.reshape(2, 3)
    torch.testing.assert_close(memory.advantages[:, 0], (groups - groups.mean(1, keepdim=True)).flatten())
    assert (memory.advantages == memory.advantages[:, :1]).all()
    assert memory.values is None


def test_the_objective_before_the_first_update_is_the_mean_advantage_and_nothing_is_clipped():
    trainer = make_trainer(normalization="token", kl_coef=0.5)
    memory = trainer.rollout_phase()
    objective, figures = trainer.compute_rlhf_objective(memory)
    expected = memory.advantages[memory.is_response].mean()
    assert objective.item() == pytest.approx(expected.item(), abs=1e-5)
    assert figures["clipped_share"] == 0


def test_an_update_makes_what_was_better_likelier():
    trainer = make_trainer(kl_coef=0.0, lr=1e-3)
    memory = trainer.rollout_phase()
    assert (memory.advantages != 0).any()
    trainer.learning_phase(memory)
    log_ratios = (trainer.score(trainer.policy, memory) - memory.logprobs).where(memory.is_response, 0.0)
    assert (log_ratios * memory.advantages).sum() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group_size": 1}, "two samples at least"),
        ({"normalization": "mean"}, "GrpoConfig.normalization must be one of"),
        ({"n_minibatches": 4}, "GrpoConfig.n_minibatches must be a divisor of 6 samples"),
        ({"n_steps": 5}, "GrpoConfig.n_steps must be a multiple of 2"),
        ({"kl_coef": -0.1}, "kl_coef must be finite and at least 0"),
        ({"temperature": 0.0}, "temperature must be finite and above 0"),
        ({"gen_len": 0}, "gen_len must be a whole number of at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(without_types, settings, message):
    with pytest.raises(ConfigError, match=message):
        make_trainer(**settings)


@pytest.mark.usefixtures("without_types")
@pytest.mark.parametrize("shape", [(1,), (2, 3), ()])
def test_advantages_of_another_shape_are_refused_and_not_broadcast(shape):
    logprobs, is_response = torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ShapeError, match="one number for each of 2 samples"):
        grpo_loss(logprobs, logprobs, logprobs, torch.ones(shape), is_response, 0.2, 0.1)
