"""A language model explains a latent from the texts on which it is most active.

Whatever answers is handed in as a function from messages to text: an endpoint or a local model (`answering.py`), or a
script (`scripted.py`), which needs neither network nor weights.

Shapes:  tokens "n_texts seq" -> texts
Raises:  ConfigError for a latent that is never active, or no completions; what `examples` raises.
Source:  Bills et al. 2023, "Language models can explain neurons in language models"; Bricken et al. 2023, "Towards
         monosemanticity", section "Automated interpretability"; Paulo et al. 2024, arXiv:2410.13928, section 3
         (the marks around active tokens).
Differs: the wording of the prompts is our own.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.activations.examples import fetch_max_activating_examples
from arena_lib.saes.analysis.activations.texts import Texts
from arena_lib.saes.autoencoders.base import SAE

Role = Literal["system", "user", "assistant"]
Messages = list[dict[str, str]]
"""A conversation as chat models take it: {"role": ..., "content": ...} for each message."""
Ask = Callable[[Messages], str]
"""Answers a conversation."""

OPENING, CLOSING = "<<", ">>"
"""Marks around tokens on which a latent is active."""
EXPLAINER = (
    "We study the latents of a sparse autoencoder, which was trained on the activations of a language model. Each latent is "
    "active on some kind of token. You are given texts in which the tokens where one latent is most active are marked "
    f"{OPENING}like this{CLOSING}. Say in one short sentence what the latent is active on. Be specific: name words, "
    "kinds of words, or what comes before, if the texts have it in common. Do not mention the marks, and do not list the texts."
)
"""What the explaining model is told first."""
BEGINNING = "This latent is active on"
"""How its answer begins."""


def mark_tokens(str_tokens: Sequence[str], is_marked: Sequence[bool]) -> str:
    """The text with marks around its marked tokens; neighbours that are both marked share one pair of marks.

    >>> mark_tokens([" a", " red", " kite", "."], [False, True, True, False])
    ' a<< red kite>>.'
    """
    text = ""
    for i, (token, marked) in enumerate(zip(str_tokens, is_marked, strict=True)):
        begins = marked and (i == 0 or not is_marked[i - 1])
        ends = marked and (i + 1 == len(str_tokens) or not is_marked[i + 1])
        text += OPENING * begins + token + CLOSING * ends
    return text


def create_prompt(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idx: int,
    total_batches: int = 100,
    k: int = 15,
    buffer: int = 10,
    *,
    hook_name: str | None = None,
) -> dict[Role, str]:
    """What an explaining model is told: the `system` message, the texts as the `user`'s, and how the answer begins.

    The texts are the latent's `k` most activating examples, with `buffer` tokens on each side, that don't overlap; each on
    a line of its own, as "1. text", with the token itself marked by `mark_tokens`. Line breaks in texts become "⏎".
    """
    examples = fetch_max_activating_examples(
        model, sae, tokens, latent_idx, total_batches, k, buffer, hook_name=hook_name, may_overlap=False
    )
    if not examples:
        raise ConfigError(
            f"a latent must be active to be explained: got latent {latent_idx}, which isn't on any of these texts. Take "
            "another latent, or more texts."
        )
    marked = [
        mark_tokens(str_tokens, [i == position for i in range(len(str_tokens))]) for _, str_tokens, position in examples
    ]
    return {"system": EXPLAINER, "user": "The texts:\n\n" + number_texts(marked), "assistant": BEGINNING}


def get_autointerp_explanation(
    model: Any,
    sae: SAE,
    tokens: Texts,
    latent_idx: int,
    total_batches: int = 100,
    k: int = 15,
    buffer: int = 10,
    n_completions: int = 1,
    *,
    ask: Ask,
    hook_name: str | None = None,
) -> list[str]:
    """`n_completions` explanations of a latent, each asked for by itself with what `create_prompt` says.

    Spaces around an answer are taken away, and the prompt's beginning of the answer, where it repeats that.
    """
    if n_completions < 1:
        raise ConfigError(f"n_completions must be at least 1: got {n_completions}. Ask for one.")
    prompt = create_prompt(model, sae, tokens, latent_idx, total_batches, k, buffer, hook_name=hook_name)
    messages = to_messages(prompt)
    return [read_explanation(ask(messages)) for _ in range(n_completions)]


def to_messages(prompt: dict[Role, str]) -> Messages:
    """A prompt by role as a conversation, in the order of the roles."""
    return [{"role": role, "content": content} for role, content in prompt.items()]


def read_explanation(answer: str) -> str:
    """An answer without spaces around it and without the beginning that it was given."""
    return answer.strip().removeprefix(BEGINNING).strip()


def number_texts(texts: Sequence[str]) -> str:
    """One text a line, numbered from 1."""
    return "\n".join(f"{i}. {text.replace(chr(10), '⏎')}" for i, text in enumerate(texts, start=1))
