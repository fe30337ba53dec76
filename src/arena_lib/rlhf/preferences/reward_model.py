"""A reward model: a language model whose last token's residual stream is read as one number for the whole text.

Only the last real token has seen all of the text, so the head reads there. An end-of-text that was drawn belongs to the
text; padding and filling don't.

Shapes:  tokens, attention_mask "batch seq" -> rewards "batch"
Raises:  what the transformer raises for bad tokens or a bad attention_mask.
Source:  Stiennon et al. 2020, arXiv:2009.01325, section 3.4 and appendix B.1 (a linear head, drawn from a normal with variance
         1 / (d_model + 1); rewards centred after training); Ziegler et al. 2019, arXiv:1909.08593, section 2.1.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.rlhf.preferences.answers import Answers
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask, last_real


class RewardModel(nn.Module):
    """w . ln_final(resid at the last real token) + b, with the residual stream after the last block.

    The transformer is taken as it is and trains along: hand in a copy of the policy, `copy.deepcopy(policy)`.
    """

    def __init__(self, transformer: Transformer, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.transformer, self.cfg = transformer, transformer.cfg
        d_model, like = transformer.cfg.d_model, transformer.embed.W_E
        self.w = nn.Parameter(torch.empty(d_model).normal_(0.0, (d_model + 1) ** -0.5, generator=generator).to(like))
        self.b = nn.Parameter(torch.zeros((), dtype=like.dtype, device=like.device))

    def forward(self, tokens: Int[Tensor, "batch seq"], attention_mask: Mask | None = None) -> Float[Tensor, " batch"]:
        """The reward of each text; without a mask all tokens are real.

        `attention_mask` is True (or 1) at real tokens; padding may stand on the left, on the right or on both sides of them.
        What stands at padding changes nothing. Gradients flow into the transformer too.
        """
        n_layers = self.transformer.cfg.n_layers
        resid = self.transformer(tokens, stop_at_layer=n_layers, attention_mask=attention_mask)
        last = self.transformer.ln_final(last_real(resid, attention_mask)[:, None])[:, 0]
        return last @ self.w + self.b

    @torch.no_grad()
    def score(self, answers: Answers, batch_size: int = 256) -> Float[Tensor, " batch"]:
        """The reward of each answer, in evaluation mode and without gradients, some at a time."""
        was_training, device = self.training, self.w.device
        self.eval()
        starts = range(0, len(answers), batch_size)
        parts = [answers[start : start + batch_size].to(device) for start in starts]
        rewards = torch.cat([self(part.tokens, part.attention_mask) for part in parts])
        self.train(was_training)
        return rewards

    @torch.no_grad()
    def center(self, answers: Answers) -> None:
        """Move `b` so that these answers' mean reward is 0: preferences leave the level of rewards open."""
        self.b.sub_(self.score(answers).mean())
