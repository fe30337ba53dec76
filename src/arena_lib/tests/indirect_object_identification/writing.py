"""Judge of what a head writes along a name's direction, against its attention to the name.

Shapes:  two tensors "2 batch".
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise
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
        )
        for label, (form, layer, head, n) in calls.items()
    ]


def attention_and_projection(function: Any, case: Case) -> Observations:
    """Both tensors, and whether the cache is as it was."""
    model, dataset, (layer, head) = (case.given[key] for key in ("model", "dataset", "head"))
    _, cache = model.run_with_cache(dataset.toks)
    before = {name: cache[name, layer].clone() for name in ("pattern", "z")}
    found = function(layer, head, cache, dataset, model)
    if not isinstance(found, tuple | list) or len(found) != 2:
        return {"attention": found}
    attention, projection = found
    return {
        "attention": attention.detach() if isinstance(attention, Tensor) else attention,
        "projection": projection.detach() if isinstance(projection, Tensor) else projection,
        "cache changed in place": any(not torch.equal(value, cache[name, layer]) for name, value in before.items()),
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


test_calculate_scatter_embedding_vs_attn = exercise(
    reference=writing.calculate_scatter_embedding_vs_attn,
    cases=scatter_cases,
    observe=attention_and_projection,
    accepts=[scatter_by_loop, scatter_by_all_logits],
    mistakes=[
        Mistake(
            "looks from S2 and not from the end",
            'dataset.word_idx["end"]',
            'dataset.word_idx["S2"]',
            why="the answer is predicted at the end, so that is where a name mover writes",
        ),
        Mistake(
            "takes the last position for every prompt's end",
            'dataset.word_idx["end"]',
            'torch.full_like(dataset.word_idx["end"], dataset.toks.shape[1] - 1)',
            why="shorter prompts are padded after their end",
        ),
        Mistake(
            "takes queries for keys",
            "[rows, head, end]",
            "[rows, head, :, end]",
            why="in the pattern the position that looks comes before the position that is looked at",
        ),
        Mistake(
            "measures attention to S2",
            '("IO", "S1")]',
            '("IO", "S2")]',
            why="the subject is taken where it is first named, S1",
        ),
        Mistake(
            "has the rows of attention the wrong way round",
            '("IO", "S1")]',
            '("S1", "IO")]',
            why="the first row is IO, the second S",
        ),
        Mistake(
            "has the rows of projections the wrong way round",
            "[dataset.io_tokens, dataset.s_tokens]",
            "[dataset.s_tokens, dataset.io_tokens]",
            why="the first row is IO, the second S",
        ),
        Mistake(
            "leaves the final norm out of the directions",
            "folded_unembedding(lm)[",
            "lm.W_U[",
            why="the unembedding reads the stream through the final norm, whose gain belongs to the direction",
        ),
        Mistake(
            "takes another head's W_O",
            "lm.W_O(layer)[head]",
            "lm.W_O(layer)[head - 1]",
            why="z becomes the head's output by the head's own W_O",
        ),
        Mistake(
            "takes the output of the whole layer",
            'cache["z", layer][rows, end, head] @ lm.W_O(layer)[head]',
            'torch.einsum("bnh,nhm->bm", cache["z", layer][rows, end], lm.W_O(layer))',
            why="the question is what this one head writes",
        ),
        Mistake(
            "mixes the prompts",
            '"bm,mnb->nb", output, directions',
            '"bm,mnb->nb", output.roll(1, dims=0), directions',
            why="each prompt has names of its own, so its output meets its own directions",
        ),
    ],
)
