"""Judge of what a head writes along a name's direction, against its attention to the name.

Shapes:  two tensors "2 batch".
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.hooking import hooked
from arena_lib.interp.ioi import writing
from arena_lib.interp.weights.folding import folded_unembedding
from arena_lib.tests.indirect_object_identification.small_prompts import make_prompts, make_reader

__test__ = False


def scatter_cases(generator: torch.Generator) -> list[Case]:
    """Two forms of models, heads that are not the first, and prompts that end at different positions."""
    calls = {
        "a model with LayerNorm": ("gpt2", 1, 2, 6),
        "heads that share keys": ("llama", 2, 1, 4),
        "the first layer": ("llama", 0, 3, 5),
    }
    return [
        Case(
            label=label,
            given={
                "model": make_reader(form, generator),
                "dataset": make_prompts(n, generator)[0],
                "head": (layer, head),
            },
            axes={"attention": "name batch", "projection": "name batch"},
            call=f"layer={layer}, head={head}, cache, dataset, model",
        )
        for label, (form, layer, head, n) in calls.items()
    ]


def attention_and_projection(function: Any, case: Case) -> Observations:
    """Both tensors, and whether the cache is as it was."""
    model, dataset, (layer, head) = (case.given[key] for key in ("model", "dataset", "head"))
    _, cache = model.run_with_cache(dataset.toks)
    before = {name: cache[name, layer].clone() for name in ("pattern", "z")}
    result = function(layer, head, cache, dataset, model)
    if not isinstance(result, tuple | list) or len(result) != 2:
        return {"attention": result}
    seen = {
        name: value.detach() if isinstance(value, Tensor) else value
        for name, value in zip(("attention", "projection"), result, strict=True)
    }
    return seen | {
        "the cache is unchanged": all(torch.equal(kept, cache[name, layer]) for name, kept in before.items())
    }


def scatter_by_loop(layer: int, head: int, cache: Any, dataset: Any, model: Any) -> tuple[Tensor, Tensor]:
    """Prompt by prompt, from the values that the head brings from each position."""
    W_U, W_O = folded_unembedding(model), hooked(model).W_O(layer)[head]
    attention, projection = torch.zeros(2, len(dataset)), torch.zeros(2, len(dataset))
    for row in range(len(dataset)):
        end = int(dataset.word_idx["end"][row])
        output = cache["z", layer][row, end, head] @ W_O
        for idx, (role, token) in enumerate((("IO", dataset.io_tokens[row]), ("S1", dataset.s_tokens[row]))):
            attention[idx, row] = cache["pattern", layer][row, head, end, dataset.word_idx[role][row]]
            projection[idx, row] = output @ W_U[:, token]
    return attention, projection


def scatter_by_all_logits(layer: int, head: int, cache: Any, dataset: Any, model: Any) -> list[Tensor]:
    """Projects on every token and picks; pads are no matter."""
    rows = torch.arange(len(dataset))
    end, io, s = (dataset.word_idx[role] for role in ("end", "IO", "S1"))
    logits = torch.einsum(
        "bsh,hm,mv->bsv", cache["z", layer][:, :, head], hooked(model).W_O(layer)[head], folded_unembedding(model)
    )
    pattern = cache["pattern", layer][:, head]
    attention = torch.stack([pattern[rows, end, io], pattern[rows, end, s]])
    return [attention, torch.stack([logits[rows, end, dataset.io_tokens], logits[rows, end, dataset.s_tokens]])]


PROJECTION = 'torch.einsum("bm,mnb->nb", output, directions)'

test_calculate_scatter_embedding_vs_attn = exercise(
    reference=writing.calculate_scatter_embedding_vs_attn,
    cases=scatter_cases,
    observe=attention_and_projection,
    accepts=[scatter_by_loop, scatter_by_all_logits],
    mistakes=[
        *instead_of(
            'dataset.word_idx["end"]',
            {
                'dataset.word_idx["S2"]': (
                    "uses attention from S2 instead of from the end",
                    "the answer is predicted at the end, so that is where a name mover writes",
                ),
                'dataset.word_idx["end"] - 1': (
                    "reads the position before the end",
                    "the answer is predicted at the end itself",
                ),
                'torch.full_like(dataset.word_idx["end"], dataset.toks.shape[1] - 1)': (
                    "uses the last position as every prompt's end",
                    "shorter prompts are padded after their end",
                ),
                'dataset.word_idx["end"][0].expand(len(dataset))': (
                    "uses the first prompt's end for all prompts",
                    "prompts of another template end at another position",
                ),
            },
        ),
        *instead_of(
            "[rows, head, end]",
            {
                "[rows, head, :, end]": (
                    "swaps queries and keys",
                    "the pattern's last two axes are the query, then the key",
                ),
                "[rows, :, end].mean(dim=1)": (
                    "averages attention over the heads",
                    "the result is the attention of the given head only",
                ),
            },
        ),
        *instead_of(
            '("IO", "S1")]',
            {
                '("IO", "S2")]': ("uses attention to S2", "attention to the subject is read at its first mention, S1"),
                '("S2", "S1")]': ("uses attention to S2 instead of IO", "the first row is the attention to IO"),
                '("S1", "IO")]': ("swaps the two rows of attention", "the first row is IO, the second S"),
            },
        ),
        *instead_of(
            "folded_unembedding(lm)[:, torch.stack([dataset.io_tokens, dataset.s_tokens])]",
            {
                "folded_unembedding(lm)[:, torch.stack([dataset.s_tokens, dataset.io_tokens])]": (
                    "swaps the two rows of projections",
                    "the first row is IO, the second S",
                ),
                "lm.W_E.T[:, torch.stack([dataset.io_tokens, dataset.s_tokens])]": (
                    "uses the embedding as directions",
                    "what a head writes is read by the unembedding, so a name's direction is its column there",
                ),
                "lm.W_U[:, torch.stack([dataset.io_tokens, dataset.s_tokens])]": (
                    "leaves the final norm out of the directions",
                    "the unembedding reads the stream through the final norm, so the direction includes the norm's gain",
                ),
                "torch.nn.functional.normalize("
                "folded_unembedding(lm)[:, torch.stack([dataset.io_tokens, dataset.s_tokens])], dim=0)": (
                    "divides by the length of the directions",
                    "the result is the dot product itself, which is what the head adds to the logit",
                ),
            },
        ),
        *instead_of(
            'cache["z", layer][rows, end, head] @ lm.W_O(layer)[head]',
            {
                'cache["z", layer][rows, end, head] @ lm.W_O(layer)[head - 1]': (
                    "uses another head's W_O",
                    "the head's output is z times the head's own W_O",
                ),
                'cache["z", layer][rows, end, head] @ lm.W_O(layer)[0]': (
                    "always uses the first head's W_O",
                    "the head's output is z times the head's own W_O",
                ),
                'cache["z", 0][rows, end, head] @ lm.W_O(0)[head]': (
                    "always uses layer 0",
                    "z and W_O are those of the given layer",
                ),
                'cache["z", layer][rows, end].mean(dim=1) @ lm.W_O(layer)[head]': (
                    "averages z over the heads",
                    "the result is what the given head writes, not the whole layer",
                ),
                'torch.einsum("bnh,nhm->bm", cache["z", layer][rows, end], lm.W_O(layer))': (
                    "uses the output of the whole layer",
                    "the result is what the given head writes, not the whole layer",
                ),
            },
        ),
        *instead_of(
            '"bm,mnb->nb", output, directions',
            {
                '"bm,mnb->nb", output.roll(1, dims=0), directions': (
                    "uses another prompt's directions",
                    "each prompt has names of its own, so its output is multiplied by its own directions",
                ),
                '"bm,mnb->nb", output / cache["ln_final.hook_scale"][rows, end], directions': (
                    "divides by the final norm's scale",
                    "the result is the dot product itself: folded_unembedding has the norm's gain, and the scale is left out",
                ),
                '"bm,mnb->nb", lm.final_norm(output), directions': (
                    "applies the final norm to the output",
                    "folded_unembedding includes the final norm's gain, and the head's output is taken as it is",
                ),
                '"bm,mnb->nb", output + (0 if lm.bias(layer, "b_O") is None else lm.bias(layer, "b_O")), directions': (
                    "adds the layer's bias b_O",
                    "b_O belongs to the layer, not to one of its heads: a head's output is z W_O",
                ),
                '"bm,mnb->nb", output - output.mean(dim=-1, keepdim=True), directions': (
                    "subtracts the mean of the output",
                    "folded_unembedding includes the final norm, so nothing else is subtracted",
                ),
            },
        ),
        *instead_of(
            'return attention, torch.einsum("bm,mnb->nb", output, directions)',
            {
                f"return {wrong}": words
                for wrong, words in {
                    f"{PROJECTION}, attention": ("returns the projection first", "the attention comes first"),
                    f"attention.T, {PROJECTION}.T": (
                        "returns the prompts as the first axis",
                        "each tensor has two rows, IO and S, and a column for each prompt",
                    ),
                    f"attention.mean(dim=1), {PROJECTION}.mean(dim=1)": (
                        "averages over the prompts",
                        "each prompt gives a point of its own",
                    ),
                    f"attention, {PROJECTION}.softmax(dim=0)": (
                        "applies softmax to the projections",
                        "the result is the dot product itself",
                    ),
                    f"attention / attention.sum(dim=0), {PROJECTION}": (
                        "divides attention by its sum over the two names",
                        "the result is the pattern's own value",
                    ),
                    f"attention + torch.stack([0 * rows, from_end[rows, dataset.word_idx['S2']]]), {PROJECTION}": (
                        "adds the attention to S2",
                        "attention to the subject is read at its first mention, S1",
                    ),
                }.items()
            },
        ),
    ],
)
