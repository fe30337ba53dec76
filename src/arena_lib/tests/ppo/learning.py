"""Judge of the trainer, section 2.3."""

from typing import Any

import torch
from gymnasium.vector import AutoresetMode

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rl.ppo import discrete
from arena_lib.tests.ppo.trainer_runs import TrainerAnew, TrainerOfItsOwn, phases_seen

__test__ = False

KEPT = [
    "__init__",
    "_make_stepper",
    "_make_networks",
    "_make_agent",
    "get_dist",
    "compute_logprobs",
    "_ascend",
    "measure_kl",
    "train_phase",
    "train",
    "get_state",
    "set_state",
    "policy",
]
"""What a learner gets: the parts that only wire things."""

DEALING = "get_minibatch_indices(self.rng, len(batch), len(batch) // self.cfg.n_minibatches)"
STEPS = "{before}; (-objective).backward(); {after}"
COEFFICIENTS = {"ent_coef": 0.5, "vf_coef": 0.1, "gamma": 0.5, "gae_lambda": 0.3}
CLIP_NORM = "nn.utils.clip_grad_norm_(self.parameters, self.cfg.max_grad_norm)"

INDENT = "    "
LOOK = """            if self.cfg.target_kl is not None and self.measure_kl(batch) > self.cfg.target_kl:
                break"""
AND_OUT = """
            else:
                continue
            break"""


def in_method(method: str, old: str, wrong: dict[str, tuple[str, ...]]) -> tuple[Mistake, ...]:
    """Mistakes in one method of the trainer."""
    return instead_of(old, wrong, within=f"PPOTrainer.{method}")


def trainer_cases(generator: torch.Generator) -> list[Case]:
    """Settings that differ in what the phases read from them."""
    settings = {"env_id": "arena/Probe8-v0", "n_envs": 3, "n_steps": 8, "n_epochs": 2, "n_minibatches": 2, "lr": 0.01}
    changes: dict[str, dict[str, Any]] = {
        "two epochs of two minibatches": {},
        "a gradient that is clipped": {"max_grad_norm": 0.01, "n_epochs": 1},
        "a target that ends the phase early": {"target_kl": 1e-7, "n_epochs": 5, "seed": 1},
        "a target that is passed in the second epoch": {"target_kl": 0.022, "n_epochs": 4, "seed": 5},
        "clipped values": {"clip_values": True, "clip_coef": 0.01, "seed": 2, "n_epochs": 1},
        "phantom steps, and other coefficients": {**COEFFICIENTS, "n_minibatches": 4, "seed": 4, "n_epochs": 1},
    }
    return [
        Case(
            label=label,
            call=f"PPOTrainer(PPOConfig({', '.join(f'{name}={value}' for name, value in changed.items())}))",
            given={
                "cfg": discrete.PPOConfig(**{**settings, "total_timesteps": 240, **changed}),
                "mode": AutoresetMode.NEXT_STEP if label.startswith("phantom") else AutoresetMode.SAME_STEP,
            },
        )
        for label, changed in changes.items()
    ]


test_ppo_trainer = exercise(
    reference=discrete.PPOTrainer,
    cases=trainer_cases,
    observe=phases_seen,
    keep=KEPT,
    accepts=[TrainerAnew, TrainerOfItsOwn],
    equivalent={
        "calc_value_function_loss(values, minibatch.returns, cfg.vf_coef)": "a squared distance is the same both ways",
        "self.measure_kl(batch) > self.cfg.target_kl -> self.measure_kl(batch) >= self.cfg.target_kl": (
            "the two are never equal"
        ),
    },
    mistakes=[
        *in_method(
            "compute_ppo_objective",
            "return surrogate - value_loss + entropy, figures",
            {
                "return surrogate + value_loss + entropy, figures": (
                    "adds the critic's loss",
                    "a loss is to be made small, so it's subtracted from what is to be made large",
                ),
                "return surrogate - value_loss - entropy, figures": (
                    "subtracts the entropy bonus",
                    "the bonus rewards a policy that stays undecided, so it's added",
                ),
                "return surrogate - value_loss, figures": (
                    "leaves out the entropy bonus",
                    "without it the policy may stop trying things too early",
                ),
                "return surrogate - cfg.vf_coef * value_loss + cfg.ent_coef * entropy, figures": (
                    "weighs the terms twice",
                    "the functions of both terms have applied vf_coef and ent_coef already",
                ),
                "return surrogate - value_loss.detach() + entropy, figures": (
                    "detaches the critic's loss",
                    "the critic must learn too",
                ),
                "return surrogate + entropy, figures": ("leaves out the critic's loss", "the critic must learn too"),
                "return -(surrogate - value_loss + entropy), figures": (
                    "returns a loss",
                    "the objective is to be made large; _ascend turns it round",
                ),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "values, minibatch.values, minibatch.returns, cfg.clip_coef",
            {
                "values, minibatch.returns, minibatch.values, cfg.clip_coef": (
                    "swaps old values and returns",
                    "the change is clipped around the old values, and compared with the returns",
                ),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "minibatch.advantages, minibatch.logprobs",
            {
                "minibatch.returns - minibatch.values, dist.log_prob(minibatch.actions)": (
                    "compares the policy with itself, without detaching",
                    "the ratio compares with the policy that acted: minibatch.logprobs",
                ),
                "minibatch.returns, minibatch.logprobs": (
                    "follows the returns instead of the advantages",
                    "what counts is how much better an action was than expected",
                ),
                "minibatch.advantages, dist.log_prob(minibatch.actions).detach()": (
                    "compares the policy with itself",
                    "the ratio compares with the policy that acted: minibatch.logprobs",
                ),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "self.critic(minibatch.obs).squeeze(-1)",
            {
                "self.critic(minibatch.obs)": (
                    "leaves an axis of length 1 on the values",
                    "values minus returns would be a table of every value with every return: squeeze(-1)",
                ),
                "minibatch.values": (
                    "takes the values that the critic said then",
                    "the critic learns through what it says now: evaluate it on the minibatch's observations",
                ),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "calc_entropy_bonus(dist, cfg.ent_coef)",
            {"calc_entropy_bonus(dist, cfg.vf_coef)": ("weighs the entropy by vf_coef", "its weight is ent_coef")},
        ),
        *in_method(
            "rollout_phase",
            "        self.agent.start_rollout()\n        for _ in range(self.cfg.n_steps):",
            {
                "        self.agent.start_rollout()\n        for _ in range(self.cfg.n_steps // 2):": (
                    "plays too few steps",
                    "a rollout has n_steps steps of each environment",
                ),
                "        if self.agent.rollout.is_full:\n            self.agent.rollout.clear()\n"
                "        for _ in range(self.cfg.n_steps):": (
                    "uses the same noise for every rollout",
                    "start_rollout clears the rollout and draws new noise",
                ),
            },
        ),
        *in_method(
            "rollout_phase",
            "self.cfg.gamma, self.cfg.gae_lambda",
            {
                "self.cfg.gae_lambda, self.cfg.gamma": ("swaps gamma and gae_lambda", "gamma comes first"),
                "0.99, 0.95": ("always discounts by 0.99 and 0.95", "both discounts are settings: cfg says them"),
            },
        ),
        *in_method(
            "learning_phase",
            "for _ in range(self.cfg.n_epochs):",
            {
                "for _ in range(1):": ("learns from each rollout only once", "there are n_epochs epochs"),
                "for _ in range(self.cfg.n_epochs + 1):": ("makes one epoch too many", "there are n_epochs epochs"),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "if cfg.clip_values:",
            {
                "if False:": (
                    "never clips the critic's change",
                    "with cfg.clip_values the critic's loss is the clipped one",
                ),
                "if True:": (
                    "always clips the critic's change",
                    "only with cfg.clip_values is the critic's loss the clipped one",
                ),
            },
        ),
        *in_method(
            "compute_ppo_objective",
            "dist, minibatch.actions",
            {
                "self.get_dist(minibatch.obs.flip(0)), minibatch.actions": (
                    "pairs observations and actions of different steps",
                    "each action belongs to the observation of its own step",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "for _ in range(self.cfg.n_epochs):\n            n_epochs += 1\n            dealt = " + DEALING,
            {
                f"dealt = {DEALING}\n        for _ in range(self.cfg.n_epochs):\n            n_epochs += 1": (
                    "deals the minibatches once for all epochs",
                    "each epoch deals anew, so that the same steps don't stay together",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "len(batch) // self.cfg.n_minibatches)",
            {
                "self.cfg.n_minibatches)": (
                    "takes the number of minibatches for their size",
                    "the size of a minibatch is len(batch) // n_minibatches",
                ),
                "self.cfg.batch_size // self.cfg.n_minibatches)": (
                    "counts phantom steps for the size of a minibatch",
                    "only real steps are in the batch: its own length is divided",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "dealt[: self.cfg.n_minibatches]",
            {
                "dealt": (
                    "learns from more minibatches than there are",
                    "an epoch has exactly n_minibatches, also where the sizes don't divide and more could be dealt",
                ),
                "dealt[: self.cfg.n_minibatches - 1]": (
                    "leaves out the last minibatch",
                    "an epoch has exactly n_minibatches",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "self._ascend(objective)",
            {
                "self._ascend(-objective)": (
                    "goes down the gradient of the objective",
                    "the objective is to be made large; _ascend turns it round by itself",
                ),
                STEPS.format(before="self.optimizer.zero_grad()", after="self.optimizer.step()"): (
                    "does not clip the gradient's norm",
                    "a gradient that is longer than max_grad_norm is scaled down: _ascend does that",
                ),
                STEPS.format(before="pass", after=f"{CLIP_NORM}; self.optimizer.step()"): (
                    "never clears the gradients",
                    "backward() adds to what is there, so the gradients are cleared before: _ascend does that",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "batch[idx]",
            {"batch": ("learns from the whole batch each time", "each step is made from one minibatch: batch[idx]")},
        ),
        *in_method(
            "learning_phase",
            LOOK,
            {
                INDENT + LOOK.replace("\n", "\n" + INDENT): (
                    "looks at target_kl after each minibatch, and leaves out the rest of the epoch",
                    "a whole epoch is made before the policies are compared, and no more epochs follow then",
                ),
                INDENT + LOOK.replace("\n", "\n" + INDENT) + AND_OUT: (
                    "looks at target_kl after each minibatch",
                    "a whole epoch is made before the policies are compared",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "                self._ascend(objective)\n",
            {
                "                self._ascend(objective)\n                self.scheduler.step()\n": (
                    "lowers the learning rate in each minibatch",
                    "the scheduler steps once for each phase",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "get_minibatch_indices(self.rng,",
            {
                "get_minibatch_indices(np.random.default_rng(self.cfg.seed),": (
                    "makes a generator of its own for dealing",
                    "each epoch deals anew from self.rng, which goes on",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "self.measure_kl(batch) > self.cfg.target_kl",
            {
                "self.measure_kl(batch) < self.cfg.target_kl": (
                    "ends the phase while the policy is near",
                    "the phase ends once the policy has moved further than the target",
                ),
                "False": ("never ends a phase early", "beyond target_kl the phase ends"),
                "self.measure_kl(batch[idx]) > self.cfg.target_kl": (
                    "measures the distance on the last minibatch only",
                    "the policies are compared on the whole batch",
                ),
                "n_epochs > 1 and self.measure_kl(batch) > self.cfg.target_kl": (
                    "does not look at target_kl after the first epoch",
                    "the policies are compared after each epoch",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "        self.scheduler.step()\n",
            {"": ("never lowers the learning rate", "each learning phase ends with the scheduler's step")},
        ),
        *in_method(
            "learning_phase",
            "                break\n        self.scheduler.step()\n",
            {
                "                break\n        else:\n            self.scheduler.step()\n": (
                    "leaves out the scheduler's step where a phase ends early",
                    "a phase that ends early is a phase too: the scheduler steps in any case",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "float(torch.stack(values).mean())",
            {
                "float(torch.stack(values).sum())": (
                    "adds the figures up",
                    "each figure is the mean over the minibatches, so that it doesn't grow with their number",
                ),
                "float(values[-1])": (
                    "returns the last minibatch's figures",
                    "each figure is the mean over all minibatches of the phase",
                ),
                "float(torch.stack(values).max())": (
                    "returns the largest figures",
                    "each figure is the mean over all minibatches of the phase",
                ),
                "torch.stack(values).mean()": (
                    "returns tensors",
                    "figures are logged and saved, so they are plain numbers: float(...)",
                ),
            },
        ),
        *in_method(
            "learning_phase",
            "float(n_epochs)}",
            {
                "float(self.cfg.n_epochs)}": (
                    "says that all epochs were made",
                    "a phase that ended early has made fewer: count them",
                ),
                "float(n_epochs - 1)}": (
                    "counts one epoch too few",
                    "the epoch after which a phase ends was made as well",
                ),
            },
        ),
        Mistake(
            "lowers the learning rate in each epoch",
            "            n_epochs += 1\n",
            "            n_epochs += 1\n            self.scheduler.step()\n",
            why="the scheduler steps once for each phase",
            within="PPOTrainer.learning_phase",
        ),
    ],
)
