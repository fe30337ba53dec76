"""An explainer and a judge that are scripts: automatic interpretation with nothing but the texts.

The explainer looks at the marked tokens of its prompt. Either they are few different ones, or what stands before them is:
it names whichever varies less. The judge reads such an explanation and looks for the tokens. Neither understands
anything, which is the point: their score on a latent can be worked out by hand, and a language model should beat it.

Raises:  ConfigError for a prompt of another form.
Source:  own derivation.
"""

import json
import math
import re
from collections import Counter

from arena_lib.errors import ConfigError
from arena_lib.saes.analysis.autointerp.explaining import CLOSING, OPENING, Messages

MOST_NAMED = 12
"""Tokens that an explanation names, the most frequent first."""
_MARKED = re.compile(re.escape(OPENING) + "(.*?)" + re.escape(CLOSING), re.DOTALL)
_NUMBERED = re.compile(r"^(\d+)\. (.*)$", re.MULTILINE)
_WORD_BEFORE = re.compile(r"\s*\S+\s*$")
_EXPLANATION = re.compile(r"(the tokens|what follows the tokens) (\[.*?\])(?:$|\.|\n)", re.DOTALL)


def explain_by_script(messages: Messages) -> str:
    r"""Name the marked tokens, or the words before them, whichever vary less (by their entropy).

    >>> explain_by_script([{"role": "user", "content": "1. a<< red>> kite\n2. the<< red>> ball"}])
    'the tokens [" red"]'
    """
    marked, before = [], []
    for _, text in read_numbered(messages):
        for match in _MARKED.finditer(text):
            marked.append(match[1])
            word = _WORD_BEFORE.search(text[: match.start()])
            before.append(word[0].replace(OPENING, "").replace(CLOSING, "") if word else "")
    if not marked:
        raise ConfigError(
            f"a prompt must have marked tokens, {OPENING}like this{CLOSING}: got none. Make it with create_prompt."
        )
    is_after = _entropy(before) < _entropy(marked) and "" not in before
    named = [token for token, _ in Counter(before if is_after else marked).most_common(MOST_NAMED)]
    kind = "what follows the tokens" if is_after else "the tokens"
    return f"{kind} {json.dumps(named, ensure_ascii=False)}"


def judge_by_script(messages: Messages) -> str:
    """The numbers of the texts that hold a token that the explanation names; of marked texts, those marked at one.

    The explanation is one of `explain_by_script`'s, in the first message that has one.
    """
    is_after, named = _read_explanation(messages)
    numbers = [number for number, text in read_numbered(messages) if _fits(text, named, is_after)]
    return ", ".join(map(str, numbers)) or "None"


def read_numbered(messages: Messages) -> list[tuple[int, str]]:
    """The numbered texts of the last message of the user."""
    contents = [message["content"] for message in messages if message["role"] == "user"]
    numbered = [(int(number), text) for number, text in _NUMBERED.findall(contents[-1] if contents else "")]
    if not numbered:
        raise ConfigError(
            "a prompt must have numbered texts: got none. Make it with create_prompt or get_scoring_prompts."
        )
    return numbered


def _fits(text: str, named: list[str], is_after: bool) -> bool:
    """Whether a text, or what is marked in it, is what the explanation says."""
    marks = list(_MARKED.finditer(text))
    if not marks:
        # What follows a token needs room after it.
        return any(token in (text[:-1] if is_after else text) for token in named if token)
    if is_after:
        return any(text[: match.start()].endswith(tuple(filter(None, named))) for match in marks)
    return any(match[1] in named for match in marks)


def _read_explanation(messages: Messages) -> tuple[bool, list[str]]:
    for message in messages:
        if match := _EXPLANATION.search(message["content"]):
            return match[1] != "the tokens", json.loads(match[2])
    raise ConfigError(
        "the scripted judge reads what the scripted explainer writes, such as 'the tokens [\" red\"]': got another "
        "explanation. Let a language model judge it."
    )


def _entropy(items: list[str]) -> float:
    """In nats, of the items' frequencies."""
    shares = [count / len(items) for count in Counter(items).values()]
    return -sum(share * math.log(share) for share in shares)
