"""Judge of PPO's trainer on tokens, section 2.4."""

from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.rlhf import ppo
from arena_lib.tests.rlhf.ppo_written_out import PpoInPieces, PpoWrittenOut
from arena_lib.tests.rlhf.rlhf_mistakes import MEMORY_MISTAKES, in_method
from arena_lib.tests.rlhf.trainer_runs import rlhf_seen

__test__ = False

KEPT = ["__init__", "policy_of", "before_update", "_compute_value_loss", "_ref_logits"]
"""What a learner gets: the parts that only wire things."""


def rlhf_trainer_cases(generator: torch.Generator) -> list[Case]:
    """Settings that differ in what the methods read from them."""
    changes: dict[str, dict[str, Any]] = {
        "the KL in the reward": {"gae_lambda": 0.8},
        "the KL in the loss": {"kl_place": "loss", "temperature": 0.6},
        "raw rewards, discounted": {"normalizes_rewards": False, "gamma": 0.9, "gae_lambda": 0.5, "clip_values": False},
        "a weight that follows its target": {"target_kl": 3.0, "kl_step_size": 0.5, "ent_coef": 0.7, "clip_coef": 0.1},
    }
    sizes = {
        "n_prompts": 6,
        "n_minibatches": 1,
        "n_epochs": 1,
        "gen_len": 4,
        "n_steps": 2,
        "kl_coef": 0.1,
        "vf_coef": 0.6,
    }
    return [
        Case(
            label=label,
            call=f"RLHFTrainer(model, RLHFConfig({', '.join(f'{name}={value!r}' for name, value in changed.items())}), ...)",
            given={
                "config": ppo.RLHFConfig(**{**sizes, "ent_coef": 0.2, **changed}),
                "is_whole": label == "the KL in the loss",
            },
        )
        for label, changed in changes.items()
    ]


SURROGATE = """            minibatch.advantages[is_response],
            minibatch.logprobs[is_response],"""
DRAWN = f"""Categorical(logits=logits[is_response], validate_args=False),
            minibatch.tokens[:, prefix_len:][is_response],
{SURROGATE}"""
PENALTY = "calc_kl_penalty(logits, self._ref_logits(minibatch), self.kl_coef, gen_len, mask=is_response)"

OBJECTIVE_MISTAKES = [
    *in_method(
        "compute_rlhf_objective",
        "surrogate - value_loss + entropy\n",
        {
            "surrogate + value_loss + entropy\n": (
                "adds the value head's loss",
                "a loss is to be made small, so it's subtracted from what is to be made large",
            ),
            "surrogate - value_loss - entropy\n": (
                "subtracts the entropy bonus",
                "the bonus rewards a policy that stays undecided, so it's added",
            ),
            "surrogate - value_loss\n": ("leaves out the entropy bonus", "the bonus keeps the policy undecided"),
            "surrogate + entropy\n": ("leaves out the value head's loss", "the value head must learn too"),
            "surrogate - config.vf_coef * value_loss + config.ent_coef * entropy\n": (
                "weighs the terms twice",
                "the functions of both terms have applied vf_coef and ent_coef already",
            ),
            "surrogate - value_loss.detach() + entropy\n": (
                "detaches the values or the value head's loss",
                "the value head must learn too",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        "return objective, ",
        {"return -objective, ": ("returns a loss", "the objective is to be made large; the trainer turns it round")},
    ),
    *in_method(
        "compute_rlhf_objective",
        "all_logits[:, prefix_len - 1 : -1] / config.temperature",
        {
            "all_logits[:, prefix_len - 1 : -1]": (
                "forgets the temperature",
                "tokens were drawn from softmax(logits / temperature), and are scored like that",
            ),
            "all_logits[:, prefix_len - 1 : -1] * config.temperature": (
                "multiplies the logits by the temperature",
                "tokens were drawn from softmax(logits / temperature)",
            ),
            "all_logits[:, prefix_len:] / config.temperature": (
                "shifts the logits by one",
                "the logits at a place predict the token that follows it: those from prefix_len - 1 on",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        "all_values[:, prefix_len - 1 : -1]",
        {
            "all_values[:, prefix_len:]": (
                "takes the values after the tokens in the objective",
                "a token is drawn in the state before it: its value is one place further to the left",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        "self.model.forward_with_value_head(minibatch.tokens, minibatch.attention_mask)",
        {
            "self.model.forward_with_value_head(minibatch.tokens)": (
                "forgets the attention mask in the objective",
                "prompts are padded on the left, and padding is hidden by the mask",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        DRAWN,
        {
            DRAWN.replace("minibatch.tokens[:, prefix_len:]", "minibatch.tokens[:, prefix_len - 1 : -1]"): (
                "scores the tokens that were read in place of those that were drawn",
                "the logits at a place predict the token that follows it: those from prefix_len on were drawn",
            ),
            DRAWN.replace("[is_response]", ""): (
                "counts the filling in the surrogate objective",
                "everything is a mean over drawn tokens: is_response says which",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        SURROGATE,
        {
            SURROGATE.replace("minibatch.advantages", "(minibatch.returns - minibatch.values)"): (
                "makes the advantages anew from returns and values",
                "they are in the minibatch: minibatch.advantages",
            ),
            SURROGATE.replace("advantages", "returns"): (
                "follows the returns in place of the advantages",
                "what counts is how much better a token was than expected",
            ),
            SURROGATE.replace("logprobs", "ref_logprobs"): (
                "compares with the reference in the ratio",
                "the ratio compares with the policy that drew the tokens: minibatch.logprobs",
            ),
            SURROGATE.replace(
                "minibatch.logprobs[is_response]",
                "Categorical(logits=logits.detach()[is_response]).log_prob(minibatch.tokens[:, prefix_len:][is_response])",
            ): (
                "compares the policy with itself",
                "the ratio compares with the policy that drew the tokens: minibatch.logprobs",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        "config.clip_coef",
        {"0.2": ("always clips at 0.2", "config.clip_coef says where")},
    ),
    *in_method(
        "compute_rlhf_objective",
        "self._compute_value_loss(values[is_response], minibatch)",
        {
            "calc_value_function_loss(values[is_response], minibatch.returns[is_response], config.vf_coef)": (
                "never clips the value head's change",
                "with config.clip_values the loss is the clipped one, as _compute_value_loss has it",
            ),
            "calc_clipped_value_function_loss(values[is_response], minibatch.values[is_response], "
            "minibatch.returns[is_response], config.clip_coef, config.vf_coef)": (
                "always clips the value head's change",
                "only with config.clip_values is the loss the clipped one, as _compute_value_loss has it",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        "calc_entropy_bonus(logits, config.ent_coef, gen_len, mask=is_response)",
        {
            "calc_entropy_bonus(logits, config.ent_coef, gen_len)": (
                "counts the filling in the entropy",
                "the mean is over drawn tokens: mask=is_response",
            ),
            "calc_entropy_bonus(logits, config.vf_coef, gen_len, mask=is_response)": (
                "weighs the entropy by vf_coef",
                "its weight is ent_coef",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        PENALTY,
        {
            PENALTY.replace(", mask=is_response", ""): (
                "counts the filling in the KL",
                "the mean is over drawn tokens: mask=is_response",
            ),
            PENALTY.replace("logits, self._ref_logits(minibatch)", "self._ref_logits(minibatch), logits"): (
                "turns the KL round",
                "the KL is from the policy to the reference: the policy's logits come first",
            ),
            PENALTY.replace("self.kl_coef", "config.kl_coef"): (
                "takes the weight of the KL in the loss from the config",
                "the weight that counts is the trainer's own, self.kl_coef, which may have been adapted",
            ),
            PENALTY.replace("self._ref_logits(minibatch)", "logits.detach()"): (
                "measures the KL from the policy itself",
                "the KL is from the reference: self._ref_logits(minibatch)",
            ),
            PENALTY.replace("(logits,", "(logits.detach(),"): (
                "detaches the policy in the KL",
                "the penalty must pull the policy back: gradients flow through its logits",
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        "objective - penalty, penalty",
        {
            "objective + penalty, penalty": (
                "adds the KL penalty",
                "a penalty is subtracted from what is to be made large",
            ),
            "objective, penalty": (
                "leaves the KL penalty out of the objective",
                'with config.kl_place "loss" the penalty is subtracted',
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        'if config.kl_place == "loss":',
        {
            "if True:": (
                "subtracts the KL penalty though it stands in the rewards",
                'only with config.kl_place "loss" does the penalty stand in the objective',
            ),
        },
    ),
    *in_method(
        "compute_rlhf_objective",
        "figure.detach()",
        {"figure": ("gives figures that keep their gradients", "figures are only logged: detach them")},
    ),
    Mistake(
        "lets the reference train",
        "config, is_response = self.config, minibatch.is_response",
        "config, is_response = self.config, minibatch.is_response\n        self.reference.requires_grad_(True)",
        why="the reference stays frozen, as the trainer made it",
        within="RLHFTrainer.compute_rlhf_objective",
    ),
]

test_rlhf_trainer = exercise(
    reference=ppo.RLHFTrainer,
    cases=rlhf_trainer_cases,
    observe=rlhf_seen,
    keep=KEPT,
    equivalent={
        "0.0 -> 1.0": "what stands where no token was drawn counts nowhere",
        "Categorical(logits=logits[is_response], validate_args=False)": "checking the logits costs time only",
    },
    accepts=[PpoWrittenOut, PpoInPieces],
    mistakes=[*MEMORY_MISTAKES, *OBJECTIVE_MISTAKES],
)
