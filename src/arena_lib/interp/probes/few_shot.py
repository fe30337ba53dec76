"""What the model itself says of a statement: true or false, asked by example.

A few statements with their verdicts stand in front of the one in question; the model goes on with TRUE or
FALSE. Where that works, the model can tell; whether a direction in its activations is what it tells by, is
asked in `intervention.py`, by this very measure.

Shapes:  statements -> P(TRUE) - P(FALSE) "n_statements"
Raises:  ConfigError for no statements or one token as both answers; TokenError for a token outside the vocabulary.
Source:  Marks and Tegmark 2023, arXiv:2310.06824, section 6 and appendix G.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, TokenError
from arena_lib.interp.probes.extraction import tokenize

QUESTION = " This statement is:"
"""What follows a statement; the model's next token is its verdict."""


def few_shot_evaluate(
    statements: list[str],
    model: Any,
    tokenizer: Any,
    few_shot_prompt: str,
    true_id: int,
    false_id: int,
    batch_size: int = 32,
) -> Float[Tensor, " n_statements"]:
    """P(TRUE) - P(FALSE) for each statement, from the model's own next-token probabilities.

    The prompt of a statement is `few_shot_prompt + statement + " This statement is:"`. The probabilities are
    those of the whole vocabulary (a softmax over all logits) for the token that follows the prompt's last
    token; P(TRUE) is that of the token `true_id`, P(FALSE) that of `false_id`. One number for each statement, between
    -1 and 1, in the order of `statements`, without a gradient.

    The statements are read in batches of `batch_size`, padded to one length: read the logits at the last token
    of each *prompt*, never at padding, and use the tokenizer's `attention_mask` to find it. Either side will do
    for padding here; but pad on the right (as `tokenize` does) if you want to call this function in
    `intervention_experiment`, which counts tokens from the row's beginning.
    """
    check_answers(model, true_id, false_id)
    if not statements:
        raise ConfigError("few_shot_evaluate needs at least one statement: got none. Pass a list of texts.")
    differences = []
    for start in range(0, len(statements), batch_size):
        prompts = [few_shot_prompt + statement + QUESTION for statement in statements[start : start + batch_size]]
        input_ids, mask = tokenize(prompts, tokenizer)
        with torch.no_grad():
            logits = read_logits(model(input_ids.to(next(model.parameters()).device)))
        last = mask.sum(dim=1) - 1
        probs = logits[torch.arange(len(last)), last].softmax(dim=-1)
        differences.append(probs[:, true_id] - probs[:, false_id])
    return torch.cat(differences)


def read_logits(output: Any) -> Float[Tensor, "batch seq d_vocab"]:
    """The logits in what a model returns: the tensor itself, or in transformers its attribute."""
    return output if isinstance(output, Tensor) else output.logits


def check_answers(model: Any, true_id: int, false_id: int) -> None:
    """The two answers must be different tokens of the model."""
    if true_id == false_id:
        raise ConfigError(
            f"true_id and false_id must be two tokens: got {true_id} twice. Words that begin alike may share their "
            "first token; take words that are one token each."
        )
    d_vocab = getattr(model.cfg, "d_vocab", None) if hasattr(model, "cfg") else model.config.vocab_size
    for name, token in (("true_id", true_id), ("false_id", false_id)):
        if d_vocab is not None and not 0 <= token < d_vocab:
            raise TokenError(
                f"{name} must be a token from 0 to {d_vocab - 1}: got {token}. Take it from tokenizer.encode."
            )
