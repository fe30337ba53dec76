"""The agent that plays with a policy: draws actions and gathers rollouts.

Shapes:  obs "n_envs *obs_shape" -> actions, logprobs "n_envs"; logits "n_envs n_actions"
Source:  Williams 1992 (REINFORCE): actions are drawn from the policy that is being learnt.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.rl.environments.stepping import Episode, Stepper
from arena_lib.rl.policy_gradient.rollout import Rollout, as_floats


class VPGAgent:
    """Plays in `stepper`'s environments with `policy`, which maps obs "n_envs *obs_shape" to logits "n_envs n_actions".

    `generator` draws the actions.
    """

    def __init__(self, stepper: Stepper, policy: nn.Module, generator: torch.Generator) -> None:
        self.stepper, self.policy, self.generator = stepper, policy, generator

    def get_actions(self, obs: np.ndarray) -> tuple[np.ndarray, Float[Tensor, " n_envs"]]:
        """Draw an action for each observation from the policy: (actions, logprobs).

        `obs` is a numpy array; the policy gets it as a float32 tensor, and no gradients are recorded. All actions are
        drawn by one `torch.multinomial(probabilities, 1, generator=self.generator)`, from the softmax of the logits.
        `actions` is a numpy array "n_envs", `logprobs` a tensor "n_envs": the log-probabilities of just these actions.
        """
        with torch.no_grad():
            logprobs = self.policy(as_floats(obs)).log_softmax(dim=-1)
        actions = torch.multinomial(logprobs.exp(), 1, generator=self.generator)
        return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions).squeeze(-1)

    def gen_rollout(self, rollout: Rollout) -> tuple[Rollout, list[Episode]]:
        """Play until the rollout is full; returns it, and `self.stepper.finished()`, the episodes that ended.

        Each step gets actions for `self.stepper.obs`, does them with `self.stepper.step(actions)`, and adds the
        transition that comes back, with the log-probabilities, by `rollout.add_step(transition, logprobs)`.
        """
        while rollout.n_steps < rollout.max_steps:
            actions, logprobs = self.get_actions(self.stepper.obs)
            rollout.add_step(self.stepper.step(actions), logprobs)
        return rollout, self.stepper.finished()
