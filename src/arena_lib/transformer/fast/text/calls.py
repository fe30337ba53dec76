"""What a model may be called on, texts or tokens, and what it may give: logits, the loss, or both.

Texts of uneven length are padded on the left and read with their mask inside, so each gets what it gets
alone, and its last token is at position -1.

Shapes:  logits "batch seq d_vocab"; loss a scalar, or with loss_per_token "batch seq-1", in nats
Raises:  DtypeError for an input that is neither text nor a tensor; ConfigError for options that don't go together.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: TransformerLens pads texts on the right, and takes prepend_bos=True beside tokens without using it.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, DtypeError
from arena_lib.transformer.fast.padding import Mask, predicts_real
from arena_lib.transformer.fast.text.tokens import TextModel
from arena_lib.transformer.loss import next_token_logprobs

ReturnType = Literal["logits", "loss", "both"] | None
Text = str | Sequence[str]


class Output(NamedTuple):
    """What a call with return_type="both" gives."""

    logits: Float[Tensor, "batch seq d_vocab"]
    """For the token after each position."""
    loss: Float[Tensor, "*batch_and_seq"]
    """In nats."""


def next_token_losses(
    logits: Float[Tensor, "batch seq d_vocab"],
    tokens: Int[Tensor, "batch seq"],
    is_real: Bool[Tensor, "batch seq"] | None = None,
    *,
    per_token: bool = False,
) -> Float[Tensor, "*batch_and_seq"]:
    """The mean surprise at each next token, or with `per_token` each one's; 0 where padding is read or predicted."""
    losses = -next_token_logprobs(logits, tokens)
    if is_real is None:
        return losses if per_token else losses.mean()
    is_counted = predicts_real(is_real)
    losses = losses.where(is_counted, 0.0)
    return losses if per_token else losses.sum() / is_counted.sum()


class TextCalls(TextModel):
    """Adds to a model what its calls need beyond tokens in and logits out."""

    def read_input(
        self, tokens: Any, attention_mask: Mask | None, prepend_bos: bool | None
    ) -> tuple[Tensor, Mask | None]:
        """Tokens and mask of a call: those given, or those of its texts; no mask where texts are of one length."""
        if isinstance(tokens, Tensor):
            if prepend_bos:
                raise ConfigError(
                    "prepend_bos=True goes with text: got tokens, which stay as they are. Leave it out, or make the "
                    "tokens with model.to_tokens(text, prepend_bos=True)."
                )
            return tokens, attention_mask
        texts = [tokens] if isinstance(tokens, str) else tokens
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise DtypeError(
                "the model's input must be a text, a list of texts or a tensor of token ids: got "
                f"{type(tokens).__name__}. Make a tensor of numbers with torch.tensor([...])."
            )
        if attention_mask is not None:
            raise ConfigError(
                "texts bring their own attention_mask: got one beside them. Leave it out, or pass the tokens and the mask "
                "that model.to_padded_tokens gives."
            )
        ids, is_real = self.to_padded_tokens(texts, prepend_bos=prepend_bos)
        return ids, None if is_real.all() else is_real

    def check_return_type(
        self,
        return_type: ReturnType,
        loss_per_token: bool,
        start_at_layer: int | None,
        stop_at_layer: int | None,
        last_only: bool,
    ) -> None:
        """Refuse what isn't "logits", "loss", "both" or None, and a loss without tokens or logits for it."""
        if return_type not in ("logits", "loss", "both", None):
            raise ConfigError(
                f"return_type must be 'logits', 'loss', 'both' or None: got {return_type!r}. Choose one of the four."
            )
        has_loss = return_type in ("loss", "both")
        if loss_per_token and not has_loss:
            raise ConfigError(
                f"loss_per_token needs a loss: got return_type={return_type!r}. Pass return_type='loss' or 'both'."
            )
        options = {"start_at_layer": start_at_layer, "stop_at_layer": stop_at_layer, "last_only": last_only or None}
        given = next((name for name, value in options.items() if value is not None), None)
        if has_loss and given is not None:
            raise ConfigError(
                f"the loss needs all tokens and all logits: got return_type={return_type!r} with {given}. Leave {given} "
                "out, or take the loss of logits with transformer.cross_entropy_next_token."
            )
