"""Judge of section 2.2's agent that draws from a policy and gathers rollouts.

Shapes:  obs "n_envs *obs_shape"; actions, logprobs "n_envs"
"""

from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.policy_gradient import agent
from arena_lib.rl.policy_gradient.rollout import Rollout
from arena_lib.tests.dqn_and_vpg.agents import WavyValues, make_stepper
from arena_lib.tests.dqn_and_vpg.memory import USED, without_generator

__test__ = False


def vpg_agent_cases(generator: torch.Generator) -> list[Case]:
    """Three autoreset modes, and policies of two kinds."""
    runs = [("several environments", AutoresetMode.SAME_STEP, 3, 9), ("phantom steps", AutoresetMode.NEXT_STEP, 2, 11)]
    return [
        Case(
            label=label,
            call="VPGAgent(stepper, policy, generator).gen_rollout(rollout)",
            given={"mode": mode, "n_envs": n_envs, "max_steps": max_steps},
        )
        for label, mode, n_envs, max_steps in runs
    ]


class CountingPolicy(WavyValues):
    """Logits that go up and down; counts the calls that recorded gradients."""

    n_calls_with_gradient = 0

    def forward(self, obs: Tensor) -> Tensor:
        """Logits "n_envs n_actions"."""
        self.n_calls_with_gradient += torch.is_grad_enabled()
        assert obs.dtype == torch.float32, "the policy must get a float32 tensor"
        return 2 * super().forward(obs)


def gathered(cls: Any, case: Case) -> Observations:
    """Actions for given observations, then a rollout."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass VPGAgent, without calling it.")
    stepper = make_stepper(case.given["mode"], case.given["n_envs"])
    policy, generator = CountingPolicy(), torch.Generator().manual_seed(4)
    player, state = cls(stepper, policy, generator), generator.get_state()
    actions, logprobs = player.get_actions(np.linspace(0, 5, 7)[:, None])
    filled, episodes = player.gen_rollout(Rollout(case.given["n_envs"], case.given["max_steps"], (1,)))
    if not isinstance(filled, Rollout):
        raise Unfit(f"gen_rollout must return the rollout and the episodes: got {type(filled).__name__} first.")
    return {
        "actions": actions,
        "logprobs": logprobs,
        USED: not torch.equal(state, generator.get_state()),
        "columns of the rollout that are filled": filled.n_steps,
        **{f"rollout.{name}": getattr(filled, name) for name in ("obs", "next_obs", "actions", "logprobs", "is_real")},
        "episodes": [(episode.env_idx, episode.length) for episode in episodes],
        "calls of the policy that recorded gradients": policy.n_calls_with_gradient,
    }


class AgentByDistribution(agent.VPGAgent):
    """Asks torch's Categorical for log-probabilities."""

    def get_actions(self, obs: np.ndarray) -> tuple[np.ndarray, Tensor]:
        with torch.inference_mode():
            distribution = torch.distributions.Categorical(logits=self.policy(torch.from_numpy(obs).float()))
            actions = torch.multinomial(distribution.probs, 1, generator=self.generator)[:, 0]
            return actions.numpy(), distribution.log_prob(actions)

    def gen_rollout(self, rollout: Rollout) -> Any:
        for _ in range(rollout.max_steps):
            actions, logprobs = self.get_actions(self.stepper.obs)
            rollout.add_step(self.stepper.step(actions), logprobs.clone())
        return rollout, self.stepper.finished()


test_vpg_agent = exercise(
    reference=agent.VPGAgent,
    cases=vpg_agent_cases,
    observe=gathered,
    keep=["__init__"],
    accepts=[AgentByDistribution],
    name="vpg_agent",
    mistakes=[
        *instead_of(
            "actions = torch.multinomial(logprobs.exp(), 1, generator=self.generator)",
            {
                "actions = logprobs.argmax(dim=-1, keepdim=True)": (
                    "always takes the likeliest action",
                    "a policy gradient needs actions drawn from the policy, or it never sees what else might be better",
                ),
                "actions = torch.multinomial((-logprobs).exp(), 1, generator=self.generator)": (
                    "prefers the unlikely actions",
                    "each action is drawn with its probability",
                ),
                "actions = torch.multinomial(torch.ones_like(logprobs), 1, generator=self.generator)": (
                    "draws every action with the same probability",
                    "each action is drawn with its probability",
                ),
                "actions = torch.multinomial(logprobs[:1].exp(), len(obs), True, generator=self.generator).T": (
                    "draws for all environments from the first one's policy",
                    "each observation has probabilities of its own",
                ),
                "actions = torch.multinomial(logprobs.exp().mean(0, True), 1, generator=self.generator).expand(len(obs), 1)": (
                    "draws one action for all environments",
                    "each observation has probabilities, and an action, of its own",
                ),
            },
        ),
        Mistake(
            "doesn't draw with self.generator",
            "actions = torch.multinomial(logprobs.exp(), 1, generator=self.generator)",
            "actions = torch.multinomial(logprobs.exp(), 1)",
            why="equal generators must give equal actions",
            shows=without_generator,
        ),
        *instead_of(
            "return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions).squeeze(-1)",
            {
                "return actions.squeeze(-1).numpy(), logprobs.max(dim=-1).values": (
                    "returns the log-probability of the likeliest action",
                    "that of the action that was drawn is asked for",
                ),
                "return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions).squeeze(-1).exp()": (
                    "returns probabilities",
                    "log-probabilities are asked for",
                ),
                "return actions.squeeze(-1).numpy(), torch.no_grad()(self.policy)(as_floats(obs)).gather(-1, actions).squeeze(-1)": (
                    "returns the logits of the actions for their log-probabilities",
                    "log_softmax makes probabilities of logits that sum to one",
                ),
                "return actions.squeeze(-1).numpy(), -logprobs.gather(-1, actions).squeeze(-1)": (
                    "turns the sign of the log-probabilities round",
                    "a log-probability is never above zero",
                ),
                "return actions.numpy(), logprobs.gather(-1, actions).squeeze(-1)": (
                    "leaves an axis of length 1 in the actions",
                    "one action for each environment",
                    "ShapeError",
                ),
                "return actions.squeeze(-1), logprobs.gather(-1, actions).squeeze(-1)": (
                    "returns the actions as a tensor",
                    "environments take numpy arrays",
                ),
                "return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions)": (
                    "leaves an axis of length 1 in the logprobs",
                    "one number for each environment",
                    "RuntimeError",
                ),
            },
        ),
        *instead_of(
            "self.policy(as_floats(obs)).log_softmax(dim=-1)",
            {
                "torch.enable_grad()(self.policy)(as_floats(obs)).detach().log_softmax(dim=-1)": (
                    "records gradients while it plays",
                    "nothing is learnt while acting: the loss computes the log-probabilities again",
                ),
                "self.policy(as_floats(obs)).log_softmax(dim=0)": (
                    "takes the softmax over the environments",
                    "the probabilities of one environment's actions sum to one",
                ),
                "self.policy(as_floats(obs)).sigmoid().log()": (
                    "takes a sigmoid of each logit",
                    "a softmax makes probabilities of the logits that sum to one",
                ),
                "(self.policy(as_floats(obs)) / 2).log_softmax(dim=-1)": (
                    "divides the logits by a temperature",
                    "actions are drawn from the policy itself: the softmax of the logits",
                ),
                "self.policy(as_floats(self.stepper.obs)).log_softmax(dim=-1)": (
                    "looks at stepper.obs, whatever it is given",
                    "the observations are an argument of get_actions",
                ),
            },
        ),
        Mistake(
            "plays one step too few",
            "while rollout.n_steps < rollout.max_steps:",
            "while rollout.n_steps < rollout.max_steps - 1:",
            why="the rollout is full when n_steps is max_steps",
        ),
        *instead_of(
            "actions, logprobs = self.get_actions(self.stepper.obs)",
            {
                "actions, logprobs = self.get_actions(np.zeros_like(self.stepper.obs))": (
                    "chooses actions without looking",
                    "actions are for stepper.obs, the observations that wait for them",
                ),
                "first = getattr(self, 'first', None)\n            actions, logprobs = self.first = ("
                "first or self.get_actions(self.stepper.obs))": (
                    "chooses the actions once for the whole rollout",
                    "each step has observations, and so actions, of its own",
                ),
            },
        ),
        *instead_of(
            "actions, logprobs = self.get_actions(self.stepper.obs)\n"
            "            rollout.add_step(self.stepper.step(actions), logprobs)",
            {
                "actions, logprobs = self.get_actions(getattr(self, 'last_obs', self.stepper.obs))\n"
                "            transition = self.stepper.step(actions)\n"
                "            self.last_obs = transition.next_obs\n"
                "            rollout.add_step(transition, logprobs)": (
                    "chooses actions for transition.next_obs",
                    "after an end that is the old episode's last observation; stepper.obs waits for the next actions",
                ),
                "actions, logprobs = self.get_actions(self.stepper.obs)\n"
                "            transition = self.stepper.step(actions)\n"
                "            if transition.is_real.all():\n"
                "                rollout.add_step(transition, logprobs)": (
                    "adds no step in which an environment has a phantom",
                    "every step is added: rollout.is_real says which of its rows are phantoms",
                ),
                "actions, logprobs = self.get_actions(self.stepper.obs)\n"
                "            transition = self.stepper.step(actions)\n"
                "            rollout.add_step(transition, logprobs)\n"
                "            if transition.done.any():\n                break": (
                    "stops where an episode ends",
                    "the rollout goes on with the next episode until it is full",
                ),
                "actions, logprobs = self.get_actions(self.stepper.obs)\n"
                "            transition = self.stepper.step(actions)\n"
                "            rollout.add_step(transition, self.get_actions(transition.obs)[1])": (
                    "asks for the log-probabilities by a second draw",
                    "they are those of the actions that were done: keep both results of one call",
                ),
            },
        ),
        *instead_of(
            "return rollout, self.stepper.finished()",
            {
                "return rollout, []": (
                    "returns no episodes",
                    "who trains wants to see the returns: stepper.finished()",
                ),
                "return rollout, [each for each in self.stepper.finished() if each.step == self.stepper.n_steps]": (
                    "returns only the last step's episodes",
                    "all that ended in the rollout are meant: call stepper.finished() once, when it is full",
                ),
            },
            within="VPGAgent.gen_rollout",
        ),
    ],
)
