"""What a call on a tiny model returns, and how it treated the model: texts at once, gradients, hooks left on it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Mistake
from arena_lib.checking.cases import map_tensors, tensors_in
from arena_lib.checking.observing import Observations, hooks_in_words

__test__ = False

BATCH_SIZE_KEPT = "at most batch_size texts are read at once"


HOOKS_LEFT = "hooks left on the model"


class OutOfMemory(RuntimeError):
    """What the judge's own hook raises in the middle of a run."""


def watch(call: Callable[[], Any], model: Any, batch_size: int | None = None) -> tuple[Any, Observations]:
    """What `call` returns, without its gradients, and what it did to the model."""
    texts_at_once = [0]

    def count(module: Any, inputs: Any) -> None:
        texts_at_once.append(len(inputs[0]))

    handle = model.get_input_embeddings().register_forward_pre_hook(count)
    try:
        result = call()
    finally:
        handle.remove()
    seen: Observations = {
        "the result carries a gradient": any(tensor.requires_grad for tensor in tensors_in(result)),
        HOOKS_LEFT: hooks_in_words(count_hooks(model)),
    }
    if batch_size is not None:
        seen[BATCH_SIZE_KEPT] = max(texts_at_once) <= batch_size
    return map_tensors(Tensor.detach, result), seen


def hooks_after_an_error(call: Callable[[], Any], model: Any) -> str:
    """How many hooks `call` leaves on the model when a part of it fails in the middle of a run."""
    before = count_hooks(model)

    def fail(module: Any, inputs: Any, output: Any) -> None:
        raise OutOfMemory

    handle = model.model.norm.register_forward_hook(fail)
    try:
        call()
    except OutOfMemory:
        pass
    finally:
        handle.remove()
    return hooks_in_words(count_hooks(model) - before)


def leaves_hooks(observations: Sequence[Observations]) -> bool:
    """Whether a call left hooks on its model: what a later batch makes of them varies."""
    return any(seen.get(HOOKS_LEFT, "none") != "none" for seen in observations)


def count_hooks(model: Any) -> int:
    """Forward hooks on the model, without those that transformers attaches once when hidden states are asked for."""
    hooks = [
        hook
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    ]
    return sum(not getattr(hook, "__module__", "").startswith("transformers.") for hook in hooks)


def read_in_batches(
    texts: list[str], model: Any, tokenizer: Any, batch_size: int, side: str | None = None, hides_padding: bool = True
) -> Iterator[tuple[Tensor, Tensor, Any]]:
    """The ids, the mask and the model's output of batch after batch; a side of None is the tokenizer's own."""
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        inputs = tokenizer(batch, return_tensors="pt", padding=True, padding_side=side or tokenizer.padding_side)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        with torch.no_grad():
            output = read(model, ids, mask if hides_padding else None)
        yield ids, mask, output


def read(model: Any, ids: Tensor, mask: Tensor | None = None) -> Any:
    """The model's output, whose last hidden state is what leaves the last block, before the final norm."""
    leaves_last_block: list[Tensor] = []
    handle = model.model.norm.register_forward_pre_hook(lambda module, inputs: leaves_last_block.append(inputs[0]))
    try:
        output = model(ids, attention_mask=mask, output_hidden_states=True)
    finally:
        handle.remove()
    output.hidden_states = (*output.hidden_states[:-1], leaves_last_block[0])
    return output


Pick = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From values "batch seq d", ids and mask: one row for each text."""


def last_token(values: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """The last place where the mask is 1, on whichever side the padding stands."""
    return values[torch.arange(len(mask)), (torch.arange(mask.shape[1]) * mask).argmax(dim=1)]


def last_column(values: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Right where padding stands on the left."""
    return values[:, -1]


def counted_from_the_left(values: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Right where padding stands on the right."""
    return values[torch.arange(len(mask)), mask.sum(dim=1) - 1]


def token_after_the_last(values: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Wrong: one place too late, at padding in most rows that are padded on the right."""
    return values[torch.arange(len(mask)), mask.sum(dim=1).clamp(max=mask.shape[1] - 1)]


def token_before_the_last(values: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Wrong: one place too early, where a single token's row is taken at its other end."""
    return values[torch.arange(len(mask)), mask.sum(dim=1) - 2]


AFTER_FINAL_NORM = "reads the last layer after the final norm"
BEFORE_FINAL_NORM = (
    "the activations of the last layer are its block's output too; the last entry of hidden_states has been through "
    "the final norm, so hook the block"
)


def sorted_by_length(first_line: str, texts: str) -> list[Mistake]:
    """The mistake of sorting by length, in tokens or in characters, and leaving the rows so; `first_line` is the reference's."""
    return [
        Mistake(
            "sorts by length and does not restore the order",
            first_line,
            f"{texts} = sorted({texts}, key=lambda text: {length}, reverse={is_reversed})\n    {first_line}",
            why=f"the rows are in the order of {texts}, so that they fit their labels",
        )
        for length in ('len(tokenizer(text)["input_ids"])', "len(text)")
        for is_reversed in (False, True)
    ]


def at_padding(make: Callable[..., Any], pick: Pick, name: str, why: str) -> list[Mistake]:
    """A mistake that reads at padding on the right, where what stands depends on whether the model was given the mask."""
    return [Mistake(name, function=make(pick, side="right", hides_padding=hides), why=why) for hides in (True, False)]
