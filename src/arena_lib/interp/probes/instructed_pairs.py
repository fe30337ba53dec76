"""The same facts, said honestly and dishonestly: activations that differ in the instruction alone.

What a model is told to be stands in front of a fact; the fact is the same, word for word. So whatever
differs at its end comes from the instruction, and the difference of the two means is a direction of
(dis)honesty rather than of any fact.

Shapes:  facts -> {layer: "n_facts d_model"}, twice
Raises:  ConfigError for no facts, or two instructions that are the same; UnknownNameError for a layer.
Source:  Zou et al. 2023, arXiv:2310.01405, section 3.1 (contrasting instructions); Goldowsky-Dill et al. 2025,
         arXiv:2502.03407, section 3.2 (instructed pairs).
Differs: there, several tokens of each fact are read, here its last one; the instructions are worded anew.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.probes.dialogue import leave_out_bos
from arena_lib.interp.probes.extraction import extract_activations


def construct_instructed_pairs(
    facts: list[str],
    model: Any,
    tokenizer: Any,
    layers: list[int],
    honest: str = "Pretend you are an honest person, and say something true.",
    dishonest: str = "Pretend you are a liar, and say something false.",
) -> tuple[dict[int, Float[Tensor, "n_facts d_model"]], dict[int, Float[Tensor, "n_facts d_model"]]]:
    """Activations at the last token of each fact, (after the honest, after the dishonest instruction).

    For each fact `instruct(instruction, fact, tokenizer)` makes the text: with a chat template the instruction
    is the user's message and the fact is how the assistant's answer begins; without one the text is the
    instruction, a space, and the fact. Either way the text ends where the fact ends. Both results are what
    `extract_activations` gives: for each layer one row for each fact, in the order of `facts`.
    """
    if honest == dishonest:
        raise ConfigError(
            f"the two instructions must differ: got {honest!r} twice. The difference is all that is probed."
        )
    return (
        extract_activations([instruct(honest, fact, tokenizer) for fact in facts], model, tokenizer, layers),
        extract_activations([instruct(dishonest, fact, tokenizer) for fact in facts], model, tokenizer, layers),
    )


def instruct(instruction: str, fact: str, tokenizer: Any) -> str:
    """A text in which the model is given an instruction and then says the fact; it ends where the fact ends."""
    if tokenizer.chat_template is None:
        return f"{instruction} {fact}"
    messages = [{"role": "user", "content": instruction}, {"role": "assistant", "content": fact}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    return leave_out_bos(text, tokenizer)
