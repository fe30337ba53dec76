"""What learners hand in for acting and finishing: right in other ways, and wrong in two ways at once."""

import importlib

import torch

from arena_lib.checking import run
from arena_lib.rl.ppo.discrete import PPOAgent

judges = importlib.import_module("arena_lib.tests.ppo")


class GreedyAgent(PPOAgent):
    @torch.no_grad()
    def play_step(self):
        logits = self.actor(torch.as_tensor(self.stepper.obs, dtype=torch.float32))
        step = self.stepper.step(logits.argmax(dim=-1).numpy())
        fields = ("obs", "actions", "rewards", "next_obs", "terminated", "truncated", "is_real")
        self.rollout.add(**{name: getattr(step, name) for name in fields})
        return step


class AgentOfTheNextEpisode(PPOAgent):
    @torch.no_grad()
    def play_step(self):
        logits = self.actor(torch.as_tensor(self.stepper.obs, dtype=torch.float32))
        step = self.stepper.step((logits + self.noise[self.rollout.n_filled]).argmax(-1).numpy())
        ends = {"terminated": step.terminated, "truncated": step.truncated, "is_real": step.is_real}
        self.rollout.add(obs=step.obs, actions=step.actions, rewards=step.rewards, next_obs=self.stepper.obs, **ends)
        return step


def test_an_agent_that_never_tries_anything_is_named():
    assert run(judges.test_ppo_agent, GreedyAgent).diagnosis.mistake == "always takes the likeliest action"


def test_an_agent_that_keeps_the_next_episodes_observation_is_named():
    diagnosis = run(judges.test_ppo_agent, AgentOfTheNextEpisode).diagnosis
    assert diagnosis.mistake == "stores the next episode's first observation as next_obs"
