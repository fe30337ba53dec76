"""Activations of whole statements: the residual stream after a layer, at the last token of each.

A model's blocks are found once (`find_blocks`), and what leaves them is read by PyTorch's own forward
hooks. So all that follows works alike on a model of transformers, on our `Transformer`, and on
TransformerLens's bridge. Texts are padded on the right: in a causal model no token sees what comes after
it, so padding there changes nothing, whatever the model's kind of positions.

Shapes:  statements -> {layer: "n_statements d_model"}
Raises:  ConfigError for a model without blocks, a tokenizer without a padding token, no statements;
         UnknownNameError for a layer that there isn't.
Source:  Marks and Tegmark 2023, arXiv:2310.06824, section 4 (the last token of a statement).
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError, UnknownNameError

BLOCKS = ("blocks", "model.layers", "transformer.h", "gpt_neox.layers", "model.language_model.layers")
"""Where models keep their blocks: ours and the bridge; then Llama and its relatives, GPT-2, Pythia, Gemma 3."""


def extract_activations(
    statements: list[str], model: Any, tokenizer: Any, layers: list[int], batch_size: int = 25
) -> dict[int, Float[Tensor, "n_statements d_model"]]:
    """The residual stream after each of `layers`, at the last token of every statement.

    For each layer one row for each statement, in the order of `statements`. Layer l means the vector that leaves
    block l, counted from 0, for the last layer too: before the final norm. The statements are read in batches of `batch_size`, without gradients. A batch
    must be padded to one length; the last token is the last one of the *statement*, never padding. Tokenizers
    pad on the right or on the left, as they are set; an argument decides, `tokenizer(batch, return_tensors="pt",
    padding=True, padding_side="right")`. The `attention_mask` that comes along is 1 at real tokens and 0 at
    padding (the padding token itself may occur in a text, too).

    Two ways to the vectors: `model(**inputs, output_hidden_states=True).hidden_states` is a tuple whose
    entry 0 is the embedding and whose entry l + 1 leaves block l (but the very last entry has been through
    the final norm); or `read_residual(model, input_ids, layers)`, which hooks the blocks of any model.
    """
    if not statements:
        raise ConfigError("extract_activations needs at least one statement: got none. Pass a list of texts.")
    found: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    for start in range(0, len(statements), batch_size):
        input_ids, mask = tokenize(statements[start : start + batch_size], tokenizer)
        last = mask.sum(dim=1) - 1
        for layer, resid in read_residual(model, input_ids, layers).items():
            found[layer].append(resid[torch.arange(len(last)), last.to(resid.device)])
    return {layer: torch.cat(rows) for layer, rows in found.items()}


def tokenize(texts: Sequence[str], tokenizer: Any) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]:
    """Token ids padded on the right, and a mask that is 1 at every real token."""
    if tokenizer.pad_token_id is None:
        raise ConfigError(
            "the tokenizer must have a padding token: got none. Set tokenizer.pad_token = tokenizer.eos_token."
        )
    encoded = tokenizer(list(texts), return_tensors="pt", padding=True, padding_side="right")
    return encoded["input_ids"], encoded["attention_mask"]


class _FarEnough(Exception):
    """Leaves the forward pass once the last wanted block has run."""


def read_residual(
    model: Any, input_ids: Int[Tensor, "batch seq"], layers: Sequence[int]
) -> dict[int, Float[Tensor, "batch seq d_model"]]:
    """What leaves each of these blocks, for tokens padded on the right; blocks after the last one don't run."""
    blocks = find_blocks(model)
    for layer in layers:
        check_layer(layer, len(blocks))
    found: dict[int, Tensor] = {}

    def keep(layer: int) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            found[layer] = block_output(output)
            if layer == max(layers):
                raise _FarEnough

        return hook

    handles = [blocks[layer].register_forward_hook(keep(layer)) for layer in dict.fromkeys(layers)]
    try:
        with torch.no_grad():
            model(input_ids.to(next(model.parameters()).device))
    except _FarEnough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return {layer: found[layer] for layer in layers}


def find_blocks(model: Any) -> nn.ModuleList:
    """The model's transformer blocks, in order, whatever library it comes from."""
    for path in BLOCKS:
        part: Any = model
        for name in path.split("."):
            part = getattr(part, name, None)
        if part is not None:
            return part
    raise ConfigError(
        f"a model must have its blocks under one of {', '.join(BLOCKS)}: got {type(model).__name__} without. "
        "Pass a causal language model, not a part of one."
    )


def check_layer(layer: int, n_layers: int) -> int:
    """The layer, if the model has it."""
    if not 0 <= layer < n_layers:
        raise UnknownNameError("layer", str(layer), map(str, range(n_layers)))
    return layer


def block_output(output: Any) -> Float[Tensor, "batch seq d_model"]:
    """The residual stream in what a block returns: a tensor, or in some libraries a tuple that begins with it."""
    return output if isinstance(output, Tensor) else output[0]
