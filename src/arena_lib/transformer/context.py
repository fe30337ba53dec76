"""How many tokens a model can read, and whether a text will fit.

Raises:  TokenError if prompt and new tokens do not fit into the model's context.
Source:  own derivation: the last new token is written but never read.
"""

from arena_lib.errors import TokenError
from arena_lib.wording import counted


def n_ctx_of(model: object) -> int | None:
    """The most tokens that `model` reads at once, from `model.cfg.n_ctx`; None if it doesn't say."""
    n_ctx = getattr(getattr(model, "cfg", None), "n_ctx", None)
    return n_ctx if isinstance(n_ctx, int) else None


def check_room(model: object, n_prompt: int, max_new_tokens: int) -> None:
    """Raise TokenError unless `model` can read the prompt and all new tokens but the last."""
    n_ctx = n_ctx_of(model)
    if n_prompt < 1:
        raise TokenError(f"a prompt must hold at least one token: got {n_prompt}. Start with a word or a start token.")
    if n_ctx is not None and n_prompt + max_new_tokens - 1 > n_ctx:
        n_room = n_ctx - n_prompt + 1
        advice = f"Pass max_new_tokens={n_room} or fewer" if n_room > 0 else "Pass a shorter prompt"
        raise TokenError(
            f"prompt and new tokens must fit into the model's context of {counted(n_ctx, 'token')}: got a prompt of {n_prompt} "
            f"and max_new_tokens={max_new_tokens}. {advice}."
        )
