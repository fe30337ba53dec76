"""Judges of preferences and of the reward model that learns from them, section 2.4."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rlhf.preferences import bradley_terry, reward_model
from arena_lib.tests.rlhf.tiny_transformers import (
    D_VOCAB,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    build,
    draw_tokens,
    draw_weights,
    fill,
    gradients_of,
)

__test__ = False


def pair_cases(generator: torch.Generator) -> list[Case]:
    """Decided and undecided pairs; gaps too large for a sigmoid's logarithm; a single pair."""

    def case(label: str, batch: int, spread: float, gap: float = 0.0, dtype: torch.dtype = torch.float32) -> Case:
        chosen, rejected = spread * torch.randn(2, batch, generator=generator, dtype=dtype)
        return Case(label=label, args=(chosen + gap, rejected))

    return [
        case("pairs of either kind", 7, 1.0, 0.3),
        case("a single pair", 1, 1.0),
        case("rewards that differ by hundreds", 5, 300.0, -900.0),
        case("float64", 4, 2.0, 0.5, torch.float64),
    ]


def loss_by_softplus(chosen: Tensor, rejected: Tensor) -> Tensor:
    """-log sigmoid(x) = log(1 + exp(-x))."""
    return F.softplus(rejected - chosen).mean()


def loss_by_cross_entropy(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Of two classes the first won."""
    logits = torch.stack([chosen, rejected], dim=1)
    return F.cross_entropy(logits, torch.zeros(len(chosen), dtype=torch.long, device=chosen.device))


test_bradley_terry_loss = exercise(
    reference=bradley_terry.bradley_terry_loss,
    cases=pair_cases,
    observe=outputs_and_gradients,
    accepts=[loss_by_softplus, loss_by_cross_entropy],
    mistakes=instead_of(
        "-F.logsigmoid(chosen - rejected).mean()",
        {
            "-F.logsigmoid(rejected - chosen).mean()": (
                "swaps chosen and rejected",
                "the chosen answer's reward is to rise above the rejected one's",
            ),
            "F.logsigmoid(chosen - rejected).mean()": (
                "forgets the minus",
                "a loss is to be made small, and a likely winner's logarithm is large",
            ),
            "-(chosen - rejected).mean()": (
                "forgets the log-sigmoid",
                "without it the gap would be widened for ever, of pairs that are decided too",
            ),
            "-F.sigmoid(chosen - rejected).mean()": (
                "forgets the logarithm",
                "the loss is the surprise at who won: -log of the probability",
            ),
            "-F.sigmoid(chosen - rejected).log().mean()": (
                "takes the logarithm of a sigmoid that can be 0",
                "logsigmoid is finite where a sigmoid is too small for floating point",
            ),
            "-F.logsigmoid(chosen - rejected).sum()": (
                "sums over the pairs",
                "a mean doesn't depend on the size of the batch",
            ),
            "-F.logsigmoid(chosen - rejected)": (
                "gives a number for each pair",
                "the result is the mean over the pairs",
            ),
            "-F.logsigmoid((chosen - rejected).mean())": (
                "averages the differences first",
                "each pair has a probability of its own: the mean is taken of their surprises",
            ),
            "-F.logsigmoid(chosen[:, None] - rejected).mean()": (
                "compares every chosen answer with every rejected one",
                "answers are compared within their pair",
            ),
            "-(F.logsigmoid(chosen) + F.logsigmoid(-rejected)).mean()": (
                "judges each answer by itself",
                "only the difference of a pair's rewards counts",
            ),
            "-F.logsigmoid(chosen - rejected.detach()).mean()": (
                "detaches the rejected rewards",
                "gradients flow through both: the rejected answer's reward is to fall",
            ),
            "-F.logsigmoid(chosen.detach() - rejected).mean()": (
                "detaches the chosen rewards",
                "gradients flow through both: the chosen answer's reward is to rise",
            ),
            "F.relu(1 - (chosen - rejected)).mean()": (
                "takes a hinge loss",
                "the Bradley-Terry model has a probability for each gap: the loss is -log sigmoid of it",
            ),
            "-F.logsigmoid(chosen - rejected).mean() / 0.6931471805599453": (
                "measures surprise in bits",
                "it is in nats, with the natural logarithm",
            ),
        },
    ),
)


def reward_cases(generator: torch.Generator) -> list[Case]:
    """Texts of one length; padding on either side, and on both; a single token."""

    def case(
        label: str, cfg: Any, shape: tuple[int, int], mask: Tensor | None = None, dtype: Any = torch.float64
    ) -> Case:
        weights = {name: weight.to(dtype) for name, weight in draw_weights(cfg, generator).items()}
        head = {"w": torch.randn(cfg.d_model, generator=generator).to(dtype), "b": torch.tensor(0.7, dtype=dtype)}
        args = (draw_tokens(*shape, generator), *(() if mask is None else (mask,)))
        call = (
            "RewardModel(transformer)(tokens)" if mask is None else "RewardModel(transformer)(tokens, attention_mask)"
        )
        return Case(label=label, args=args, given={"config": cfg, "base": weights, "head": head}, call=call)

    right = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    left = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    both = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0]], dtype=torch.bool)
    return [
        case("texts of one length", LLAMA_CONFIG, (3, 5)),
        case("padding on the right", GPT2_CONFIG, (3, 5), right),
        case("padding on the left", LLAMA_CONFIG, (2, 4), left),
        case("padding on both sides", GPT2_CONFIG, (2, 6), both),
        case("a single token, in float32", LLAMA_CONFIG, (1, 1), None, torch.float32),
    ]


def rewards_seen(cls: Any, case: Case) -> Observations:
    """Rewards for given weights, with gradients of the head and of two weights of the transformer; other padding."""
    model = cls(build(case.given["config"], case.given["base"]))
    fill(model, case.given["head"])
    tokens, *mask = case.fresh().args
    rewards = model(tokens, *mask)
    wanted = {"w": model.w, "b": model.b, "W_QKV": model.transformer.blocks[-1].attn.W_QKV}
    seen: Observations = {"output": rewards}
    if rewards.dtype == torch.float64:
        weights = torch.arange(1, 1 + len(tokens)).to(rewards) if rewards.ndim else 1.0
        seen |= gradients_of((rewards.mT * weights).sum() if rewards.ndim > 1 else (rewards * weights).sum(), wanted)
    if mask:
        other = tokens.where(mask[0].bool(), (tokens + 1) % D_VOCAB)
        seen["rewards with other tokens at padding"] = model(other, *mask)
    seen[CHANGED] = [] if torch.equal(tokens, case.args[0]) else ["tokens"]
    return seen


class RewardByGather(reward_model.RewardModel):
    """Normalises every place, and picks the last real one's reward by its index."""

    def forward(self, tokens: Tensor, attention_mask: Any = None) -> Tensor:
        resid = self.transformer(tokens, stop_at_layer=len(self.transformer.blocks), attention_mask=attention_mask)
        rewards = torch.einsum("bsd,d->bs", self.transformer.ln_final(resid), self.w) + self.b
        places = torch.arange(tokens.shape[1]).expand_as(tokens)
        last = (places if attention_mask is None else places.where(attention_mask.bool(), -1)).max(dim=1).values
        return rewards.gather(1, last[:, None])[:, 0]


class RewardOneByOne(reward_model.RewardModel):
    """Reads each text alone, without its padding, and finds the residual stream in the cache."""

    def forward(self, tokens: Tensor, attention_mask: Any = None) -> Tensor:
        masks = torch.ones_like(tokens) if attention_mask is None else attention_mask
        name = f"blocks.{self.cfg.n_layers - 1}.hook_resid_post"
        rewards = []
        for row, keep in zip(tokens, masks.bool(), strict=True):
            _, cache = self.transformer.run_with_cache(row[keep][None], name)
            rewards.append((self.transformer.ln_final(cache[name])[0, -1] * self.w).sum() + self.b)
        return torch.stack(rewards)


LAST = "self.transformer.ln_final(last_real(resid, attention_mask)[:, None])[:, 0]"
MASK = "(torch.ones_like(tokens) if attention_mask is None else attention_mask)"

test_reward_model = exercise(
    reference=reward_model.RewardModel,
    cases=reward_cases,
    observe=rewards_seen,
    keep=["__init__", "score", "center"],
    equivalent={"(:, 0) -> (:, -1)": "the axis has length 1"},
    accepts=[RewardByGather, RewardOneByOne],
    mistakes=[
        *instead_of(
            LAST,
            {
                "self.transformer.ln_final(resid[:, -1])": (
                    "reads the reward at padding",
                    "the last real token is the last that has seen the text; attention_mask says where it is",
                ),
                "self.transformer.ln_final(resid[:, 0])": (
                    "reads the reward at the first token",
                    "the first token has seen nothing else of the text; the last real one has seen all of it",
                ),
                f"self.transformer.ln_final(resid[torch.arange(len(resid)), {MASK}.bool().sum(1) - 1])": (
                    "counts the real tokens, as if all padding stood on the right",
                    "with padding on the left the last real token comes later: look for the last True",
                ),
                f"self.transformer.ln_final(resid[torch.arange(len(resid)), {MASK}.int().argmax(1)])": (
                    "reads the reward at the first real token",
                    "the last real one has seen all of the text",
                ),
                "self.transformer.ln_final(resid.roll(1, 1)[:, -1])": (
                    "reads the token before the last",
                    "the last real token has seen all of the text",
                ),
                "self.transformer.ln_final(resid).mean(dim=1)": (
                    "averages over all places",
                    "the head reads one place: the last real token's",
                ),
                f"(self.transformer.ln_final(resid) * {MASK}[..., None]).sum(1) / {MASK}.sum(1, keepdim=True)": (
                    "averages over the real tokens",
                    "the head reads one place: the last real token's",
                ),
                "last_real(resid, attention_mask)": (
                    "leaves the final norm out",
                    "the head reads what ln_final makes of the residual stream",
                ),
                f"{LAST}.detach()": (
                    "keeps the transformer from learning",
                    "gradients flow into the transformer too: it trains along",
                ),
            },
        ),
        *instead_of(
            "self.transformer(tokens, stop_at_layer=n_layers, attention_mask=attention_mask)",
            {
                "self.transformer(tokens, stop_at_layer=n_layers)": (
                    "lets the transformer read the padding",
                    "attention_mask goes to the transformer as well, or texts with padding on the left read it",
                ),
                "self.transformer(tokens, stop_at_layer=n_layers - 1, attention_mask=attention_mask)": (
                    "leaves the last block out",
                    "the residual stream after the last block enters stop_at_layer=n_layers",
                ),
                "self.transformer(tokens, stop_at_layer=0, attention_mask=attention_mask)": (
                    "reads the embeddings",
                    "the residual stream after the last block has seen the whole text",
                ),
            },
        ),
        *instead_of(
            "return last @ self.w + self.b",
            {
                "return last @ self.w": ("forgets b", "b sets the level of rewards"),
                "return (last @ self.w + self.b).sigmoid()": (
                    "squeezes rewards into 0 to 1",
                    "a reward is any number: the sigmoid is taken of a difference of two, in the loss",
                ),
                "return (last @ self.w + self.b)[:, None]": (
                    "leaves an axis of length 1",
                    "the rewards have one axis: one number for each text",
                ),
                "return last @ self.w - self.b": ("subtracts b", "b is added"),
            },
        ),
        Mistake(
            "gives logits' part of the vocabulary in place of the head",
            "last @ self.w",
            "self.transformer.unembed(last[:, None])[:, 0].logsumexp(-1)",
            why="the reward is w . x + b with the head's own w",
        ),
    ],
)
