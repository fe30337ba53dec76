"""Learning from comparisons: reward models, what is done with them, and DPO and IPO on the same pairs.

The labeller prefers the answer with more true reward, with a stated noise. A learned reward then stands for the truth, and whoever
optimises it meets its limits: best of n, PPO with and without a KL penalty, and PPO on the worst case of three reward models.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.core.optimization import TrainingConfig
from arena_lib.rlhf.best_of_n import best_of_n_kl, estimate_best_of_n
from arena_lib.rlhf.dpo import DPOConfig, DPOTrainer, dpo_loss, ipo_loss
from arena_lib.rlhf.preferences.answers import PreferencePairs, answers_from_rollouts
from arena_lib.rlhf.preferences.ensembles import RewardEnsemble, combine_mean_minus_std, combine_worst_case
from arena_lib.rlhf.preferences.labels import make_pairs
from arena_lib.rlhf.preferences.reward_model import RewardModel
from arena_lib.rlhf.preferences.texts import encode_texts, make_reward_fn
from arena_lib.rlhf.preferences.training import evaluate_reward_model, train_reward_model
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rewards.sentences import reward_fn_new_sentences
from arena_lib.rlhf.rollouts import draw_rollouts
from benchmarks.studies.rlhf.held_out import GEN_LEN, load_policy, measure, read_texts
from benchmarks.studies.rlhf.rewarded import train_policy

N_PROMPTS = 1024
N_ANSWERS = 8
"""To each prompt, of which as many pairs are compared."""
NOISE = 0.1
"""Of the labeller, in units of the true reward, which goes from 0 to 1."""
N_MODELS = 3
"""Reward models of the ensemble, from other first weights and in another order of the same pairs."""
BATCH_SIZE = 32
"""Pairs of an update; every pair is seen once."""
REWARD_LR = 5e-4
N_TESTED, MOST = 64, 64
"""Held-out prompts, and answers to each, for best of n and for the reward models' accuracy."""
N_UPDATES = 160
"""Of PPO: 40 phases of 64 samples."""
EVERY_PAIRS = 32
"""Updates between two measurements of DPO and IPO."""


@dataclass(frozen=True)
class Data:
    """Pairs as texts, which reward models judge, and the same pairs as answers to their prompts."""

    as_texts: PreferencePairs
    as_answers: PreferencePairs


def make_data(
    n_prompts: int, n_answers: int, n_per_prompt: int, seed: int, split: str
) -> tuple[Data, list[str], Tensor]:
    """Answers of the untrained policy, their true rewards, and pairs of them."""
    policy = load_policy()
    assert policy.tokenizer is not None
    rollouts = draw_rollouts(
        policy,
        make_story_prompts(n_prompts, seed=seed, split=split),
        GEN_LEN,
        n_samples=n_answers,
        end_of_text=policy.tokenizer.eos_token_id,
        generator=torch.Generator().manual_seed(seed),
    )
    texts = read_texts(policy, rollouts)
    true = reward_fn_new_sentences(texts)
    both = [
        make_pairs(answers, true, n_answers, NOISE, n_per_prompt, torch.Generator().manual_seed(seed))
        for answers in (encode_texts(policy, texts), answers_from_rollouts(rollouts))
    ]
    return Data(*both), texts, true


def run_seed(seed: int) -> dict[str, Any]:
    """Everything of one seed, each part with its processor time."""
    record: dict[str, Any] = {}
    data, _, true = make_data(N_PROMPTS, N_ANSWERS, N_ANSWERS, seed, "train")
    tested, texts, tested_true = make_data(N_TESTED, MOST, N_ANSWERS, 1000 + seed, "test")
    record["labels"] = {"n_pairs": len(data.as_texts), "mean": float(true.mean()), "std": float(true.std())}
    models = [
        _timed(record, f"reward model {i}", lambda i=i: train_one(data.as_texts, 10 * seed + i))
        for i in range(N_MODELS)
    ]
    record["reward models"] = [judge_one(model, tested.as_texts) for model in models]
    worst, cautious = (RewardEnsemble(models, combine) for combine in (combine_worst_case, combine_mean_minus_std))
    judges = {"one": models[0], "worst case": worst, "mean - std": cautious}
    record["best of n"] = {name: _best_of_n(model, texts, tested_true) for name, model in judges.items()}
    rewards = {
        "learned": make_reward_fn(models[0]),
        "second": make_reward_fn(models[1]),
        "true": reward_fn_new_sentences,
    }
    for name, model, kl_coef in (("no KL", models[0], 0.0), ("KL 0.1", models[0], 0.1), ("worst case", worst, 0.0)):
        record[f"ppo, {name}"] = train_policy(
            "ppo", seed, make_reward_fn(model), {"kl_coef": kl_coef}, N_UPDATES, rewards
        )
    for name, loss_fn in (("dpo", dpo_loss), ("ipo", ipo_loss)):
        record[name] = train_directly(data.as_answers, loss_fn, seed)
    return record


def _timed(record: dict[str, Any], name: str, run: Callable[[], Any]) -> Any:
    start = time.process_time()
    result = run()
    record.setdefault("cpu_seconds", {})[name] = time.process_time() - start
    return result


def train_one(pairs: PreferencePairs, seed: int) -> RewardModel:
    """A reward model after one epoch."""
    model = RewardModel(load_policy(), torch.Generator().manual_seed(seed))
    config = TrainingConfig(n_steps=len(pairs) // BATCH_SIZE, lr=REWARD_LR, seed=seed)
    train_reward_model(model, pairs, config, BATCH_SIZE)
    return model


def judge_one(model: RewardModel, pairs: PreferencePairs) -> dict[str, Any]:
    """Its figures on pairs of other prompts, and its reliability curve."""
    numbers, calibration = evaluate_reward_model(model, pairs)
    names = ("confidence", "accuracy", "n_pairs")
    return {**numbers, "curve": {name: getattr(calibration, name).nan_to_num(0.0).tolist() for name in names}}


def _best_of_n(model: RewardModel | RewardEnsemble, texts: list[str], true: Tensor) -> list[dict[str, float]]:
    learned = make_reward_fn(model)(texts).unflatten(0, (-1, MOST))
    by_prompt = true.unflatten(0, (-1, MOST))
    rows, n = [], 1
    while n <= MOST:
        learned_best, true_best = estimate_best_of_n(learned, n), estimate_best_of_n(learned, n, by_prompt)
        row = {"n": n, "kl": best_of_n_kl(n), "learned": float(learned_best.mean()), "true": float(true_best.mean())}
        rows.append(row)
        n *= 2
    return rows


def train_directly(pairs: PreferencePairs, loss_fn: Callable[..., Tensor], seed: int) -> dict[str, Any]:
    """DPO or IPO, one epoch over the pairs, measured as it goes."""
    policy = load_policy()
    reference, rewards = copy.deepcopy(policy), {"true": reward_fn_new_sentences}
    rows = [{"update": 0, **measure(policy, reference, rewards)}]

    def look(net: nn.Module) -> dict[str, float]:
        rows.append({"update": len(rows) * EVERY_PAIRS, **measure(policy, reference, rewards)})
        return {"true": rows[-1]["true"]}

    n_steps = len(pairs) // BATCH_SIZE // EVERY_PAIRS * EVERY_PAIRS
    config = DPOConfig(n_steps=n_steps, batch_size=BATCH_SIZE, eval_every=EVERY_PAIRS, seed=seed)
    start = time.process_time()
    DPOTrainer(policy, config, pairs, loss_fn=loss_fn, evaluate=look).train()
    return {"rows": rows, "cpu_seconds": time.process_time() - start}
