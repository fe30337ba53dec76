"""What goes wrong in the memory that PPO learns from, section 2.4."""

from arena_lib.checking import Mistake, instead_of

__test__ = False

ALL_VALUES = "self.model.forward_with_value_head(rollouts.tokens, rollouts.attention_mask)"
TOKEN_REWARDS = "compute_token_rewards(scaled, is_response, kl_k1(rollouts.logprobs, ref_logprobs), kl_coef)"
ADVANTAGES = "compute_token_advantages(values, token_rewards, is_response, config.gamma, config.gae_lambda)"


def in_method(method: str, old: str, wrong: dict[str, tuple[str, ...]]) -> tuple[Mistake, ...]:
    """Mistakes in one method of the trainer."""
    return instead_of(old, wrong, within=f"RLHFTrainer.{method}")


MEMORY_MISTAKES = [
    *in_method(
        "make_memory",
        "all_values[:, rollouts.n_prompt - 1 : -1]",
        {
            "all_values[:, rollouts.n_prompt :]": (
                "takes the values after the tokens",
                "a token is drawn in the state before it: its value is one place further to the left",
            ),
            "all_values[:, rollouts.n_prompt - 1 : rollouts.n_prompt].expand_as(is_response)": (
                "takes the prompt's value for every token",
                "each token has the value of what was read just before it",
            ),
        },
    ),
    *in_method(
        "make_memory",
        ALL_VALUES,
        {
            ALL_VALUES.replace(", rollouts.attention_mask", ""): (
                "forgets the attention mask in make_memory",
                "prompts are padded on the left, and padding is hidden by the mask",
            ),
        },
    ),
    *in_method(
        "make_memory",
        "normalize_reward(rewards) if config.normalizes_rewards else rewards",
        {
            "normalize_reward(rewards)": (
                "always normalises the rewards",
                "config.normalizes_rewards says whether rewards are normalised",
            ),
            "rewards": ("never normalises the rewards", "with config.normalizes_rewards they get mean 0 and spread 1"),
        },
    ),
    *in_method(
        "make_memory",
        'self.kl_coef if config.kl_place == "reward" else 0.0',
        {
            "self.kl_coef": (
                "takes the KL from the rewards though it stands in the loss",
                'with config.kl_place "loss" the rewards have no KL in them, or it would count twice',
            ),
            "0.0": (
                "leaves the KL out of the rewards",
                'with config.kl_place "reward" each token pays for its own log p - log q',
            ),
            'adapt_kl_coef(self.kl_coef, self.phases[-1]["kl"], config.target_kl or 1e9, config.kl_step_size) '
            'if config.kl_place == "reward" and config.target_kl else self.kl_coef if config.kl_place == "reward" else 0.0': (
                "adapts kl_coef before this phase's rewards are made",
                "this phase is paid by the weight as it was; the new one is for the next phase",
            ),
            'config.kl_coef if config.kl_place == "reward" else 0.0': (
                "takes the weight of the KL in the rewards from the config",
                "the weight that counts is the trainer's own, self.kl_coef, which may have been adapted",
            ),
        },
    ),
    *in_method(
        "make_memory",
        TOKEN_REWARDS,
        {
            TOKEN_REWARDS.replace("(rollouts.logprobs, ref_logprobs)", "(ref_logprobs, rollouts.logprobs)"): (
                "turns the sign of the KL in the rewards round",
                "a token costs log p - log q, policy less reference",
            ),
            TOKEN_REWARDS.replace(
                "kl_k1(rollouts.logprobs, ref_logprobs)", "(rollouts.logprobs - ref_logprobs).abs()"
            ): (
                "takes the absolute value of each token's log-ratio",
                "a token costs log p - log q, which may be below 0",
            ),
            TOKEN_REWARDS.replace(
                "kl_k1(rollouts.logprobs, ref_logprobs)",
                "(rollouts.logprobs - ref_logprobs).where(is_response, 0.0).sum(1, True).expand_as(is_response)",
            ): (
                "makes every token pay for the whole sample's KL",
                "each token pays for its own log p - log q",
            ),
            f"{TOKEN_REWARDS.replace('scaled', '0 * scaled')} + scaled[:, None]": (
                "adds the reward at each token",
                "a sample's reward comes once, at its last drawn token",
            ),
            f"{TOKEN_REWARDS} + scaled[:, None]": (
                "adds the reward at each token",
                "a sample's reward comes once, at its last drawn token",
            ),
            f"torch.nn.functional.pad(scaled[:, None], (is_response.shape[1] - 1, 0)) + {TOKEN_REWARDS.replace('scaled', '0 * scaled')}": (
                "puts the reward at the last place, drawn or not",
                "a sample's reward comes at its last drawn token: behind it nothing counts",
            ),
        },
    ),
    *in_method(
        "make_memory",
        ADVANTAGES,
        {
            ADVANTAGES.replace("config.gamma, config.gae_lambda", "config.gae_lambda, config.gamma"): (
                "swaps gamma and gae_lambda",
                "gamma comes first",
            ),
            ADVANTAGES.replace(", config.gamma, config.gae_lambda", ""): (
                "takes gamma and gae_lambda as they are by default",
                "both are settings: config.gamma and config.gae_lambda",
            ),
        },
    ),
    *in_method(
        "make_memory",
        "advantages=advantages",
        {
            "advantages=(advantages - advantages[is_response].mean()) / advantages[is_response].std()": (
                "normalises the advantages in the memory",
                "they are normalised within each minibatch, by the objective",
            ),
            "advantages=advantages + values": (
                "keeps the returns as advantages",
                "advantages are what compute_token_advantages gives",
            ),
        },
    ),
    *in_method(
        "make_memory",
        "returns=advantages + values",
        {
            "returns=advantages": (
                "keeps the advantages as returns",
                "what the value head should have expected is advantages + values",
            ),
            "returns=advantages - values": (
                "subtracts the values from the advantages for the returns",
                "what the value head should have expected is advantages + values",
            ),
            "returns=token_rewards.flip(1).cumsum(1).flip(1)": (
                "adds up the rewards to come for the returns",
                "the returns are advantages + values, which look as far as gae_lambda lets them",
            ),
        },
    ),
    *in_method(
        "make_memory",
        "rewards=rewards",
        {
            "rewards=scaled": (
                "keeps the normalised rewards",
                "`rewards` are what the reward function said, as they came",
            ),
        },
    ),
    *in_method(
        "make_memory",
        "            logprobs=rollouts.logprobs,\n",
        {
            "            logprobs=ref_logprobs,\n": (
                "keeps the reference's log-probabilities as the old ones",
                "`logprobs` are those under which the tokens were drawn: rollouts.logprobs",
            ),
        },
    ),
    *in_method(
        "make_memory",
        "if config.target_kl is not None:",
        {"if False:": ("never adapts kl_coef", "with config.target_kl the weight follows what a phase's KL was")},
    ),
    *in_method(
        "make_memory",
        'adapt_kl_coef(self.kl_coef, self.phases[-1]["kl"], config.target_kl, config.kl_step_size)',
        {
            'adapt_kl_coef(self.kl_coef, self.phases[-1]["kl"], config.target_kl)': (
                "adapts kl_coef by the default step size",
                "config.kl_step_size says how fast",
            ),
            'adapt_kl_coef(self.kl_coef, config.target_kl, self.phases[-1]["kl"], config.kl_step_size)': (
                "swaps the KL and its target",
                "the phase's KL comes first, then the target",
            ),
            'adapt_kl_coef(config.kl_coef, self.phases[-1]["kl"], config.target_kl, config.kl_step_size)': (
                "adapts the weight that the run began with",
                "the trainer's own weight, self.kl_coef, goes on from phase to phase",
            ),
            "adapt_kl_coef(self.kl_coef, float(kl_k1(rollouts.logprobs, ref_logprobs)[is_response].mean()), "
            "config.target_kl, config.kl_step_size)": (
                "adapts kl_coef to the KL of a token",
                'the target is for a sample, the sum over its tokens: self.phases[-1]["kl"]',
            ),
        },
    ),
]
