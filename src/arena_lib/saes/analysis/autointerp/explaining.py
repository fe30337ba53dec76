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
END_OF_THINKING = "</think>"


def mark_tokens(str_tokens: Sequence[str], is_marked: Sequence[bool]) -> str:
    """The text with marks around its marked tokens; neighbours that are both marked share one pair of marks.

    What the tokens themselves hold stays as it is, also where that looks like marks.

    >>> mark_tokens([" a", " red", " kite", "."], [False, True, True, False])
    ' a<< red kite>>.'
    """
    text = ""
    for i, (token, marked) in enumerate(zip(str_tokens, is_marked, strict=True)):
        begins = marked and (i == 0 or not is_marked[i - 1])
        ends = marked and (i + 1 == len(str_tokens) or not is_marked[i + 1])
        text += OPENING * begins + token + CLOSING * ends
    return text


def create_prompt(examples: Sequence[tuple[float, list[str], int]]) -> dict[Role, str]:
    r"""What an explaining model is told, by the role of who says it: `system`, `user` and `assistant`, in this order.

    `examples` are as `fetch_max_activating_examples` gives them: (activation, tokens as text, which of them it is). The
    `system` message is `EXPLAINER`. The `user`'s has each example on a line of its own, numbered from 1, with the token
    itself marked, such as "1. the red<< kite>> is". A line break in an example becomes "⏎", so that it stays on its line.
    Lines before the first example are free, and so are empty lines. The `assistant`'s is `BEGINNING`, with which the answer
    is to begin.

    >>> user = create_prompt([(2.0, [" red", " kite", "\n"], 1), (1.0, [" a", " kite"], 1)])["user"]
    >>> [line for line in user.splitlines() if "kite" in line]
    ['1.  red<< kite>>⏎', '2.  a<< kite>>']
    """
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
    """`n_completions` explanations of a latent from its `k` most activating examples, each asked for by itself.

    The examples have `buffer` tokens on each side and don't overlap; `create_prompt` shows them. Of an answer,
    `read_explanation` says what is kept.
    """
    if n_completions < 1:
        raise ConfigError(f"n_completions must be at least 1: got {n_completions}. Ask for one.")
    examples = fetch_max_activating_examples(
        model, sae, tokens, latent_idx, total_batches, k, buffer, hook_name=hook_name, may_overlap=False
    )
    if not examples:
        raise ConfigError(
            f"a latent must be active to be explained: got latent {latent_idx}, which isn't on any of these texts. Take "
            "another latent, or more texts."
        )
    messages = to_messages(create_prompt(examples))
    return [read_explanation(ask(messages)) for _ in range(n_completions)]


def to_messages(prompt: dict[Role, str]) -> Messages:
    """A prompt by role as a conversation, in the order of the roles."""
    return [{"role": role, "content": content} for role, content in prompt.items()]


def read_explanation(answer: str) -> str:
    """An answer without the model's thinking, spaces around it, and the beginning that it was given."""
    return remove_thinking(answer).strip().removeprefix(BEGINNING).strip()


def remove_thinking(answer: str) -> str:
    """What stands after the thinking that some models write first, between <think> and </think>.

    >>> remove_thinking("<think>Is it 1 or 2? It's 2.</think>2")
    '2'
    """
    return answer.rpartition(END_OF_THINKING)[2]


def number_texts(texts: Sequence[str]) -> str:
    """One text a line, numbered from 1."""
    return "\n".join(f"{i}. {text.replace(chr(10), '⏎')}" for i, text in enumerate(texts, start=1))
