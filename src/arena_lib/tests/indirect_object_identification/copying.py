"""Judges of copying scores: names as the heads see them, and what each head's output makes likely.

Shapes:  names "n_names" -> "n_names d_model", and "2 n_layers-1 n_heads".
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.interp.hooking import hooked
from arena_lib.interp.ioi import copying
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    D_VOCAB,
    GPT2_CONFIG,
    LLAMA_CONFIG,
    make_model,
)

__test__ = False

CONFIGS: dict[str, Any] = {
    "a model of three layers whose heads share keys": LLAMA_CONFIG,
    "a model with LayerNorm": replace(GPT2_CONFIG, n_layers=3),
    "a model without MLPs": ATTENTION_ONLY_CONFIG,
}


def embed_cases(generator: torch.Generator) -> list[Case]:
    """Several names, also one alone, in models with MLPs and without."""
    return [
        Case(
            label=label,
            args=(make_model(cfg, generator), torch.randperm(D_VOCAB, generator=generator)[:n_names]),
            axes={"output": "n_names d_model"},
        )
        for (label, cfg), n_names in zip(CONFIGS.items(), (5, 1, 4), strict=True)
    ]


def embed_by_loop(model: Any, names: Tensor) -> Tensor:
    """One name at a time, as a text of one token."""
    rows = []
    for name in names.tolist():
        row = model.W_E[name][None, None]
        if hasattr(model.blocks[0], "mlp"):
            row = row + model.blocks[0].mlp(model.blocks[0].ln2(row))
        rows.append(row[0, 0])
    return torch.stack(rows)


ONE_IN_THE_BATCH = "the batch has one row, which is the first and the last"
PAST_THE_MLP = "later heads read the stream after the first MLP, which changes the vectors of names"

test_embed_names = exercise(
    reference=copying.embed_names,
    cases=embed_cases,
    observe=outputs,
    accepts=[embed_by_loop],
    equivalent={
        "embedded + lm.mlp_out(0, embedded[None])[0] -> embedded + lm.mlp_out(0, embedded[None])[-1]": ONE_IN_THE_BATCH
    },
    mistakes=[
        Mistake(
            "keeps an axis of length 1 in front",
            "embedded + lm.mlp_out(0, embedded[None])[0] if lm.has_mlp else embedded",
            "(embedded + lm.mlp_out(0, embedded[None])[0] if lm.has_mlp else embedded)[None]",
            why="the result has a row for each name",
        ),
        Mistake(
            "adds the embedding of a position",
            "embedded = lm.W_E[names]",
            "embedded = lm.W_E[names] + (lm.model.pos_embed.W_pos[0] if hasattr(lm.model, 'pos_embed') else 0)",
            why="the result doesn't depend on a position: it starts from W_E[name] only",
        ),
        *instead_of(
            "embedded + lm.mlp_out(0, embedded[None])[0]",
            {
                "embedded": ("leaves out the first MLP", PAST_THE_MLP),
                "lm.mlp_out(0, embedded[None])[0]": (
                    "leaves out the embedding itself",
                    "the MLP adds to the stream, so the embedding is still part of it",
                ),
                "embedded + lm.mlp_out(1, embedded[None])[0]": (
                    "uses the second layer's MLP",
                    "a name passes the first MLP, that of layer 0, before the heads of layer 1 read it",
                ),
                "embedded + lm.mlp_out(lm.n_layers - 1, embedded[None])[0]": (
                    "uses the last layer's MLP",
                    "a name passes the first MLP before the heads of layer 1 read it",
                ),
                "embedded + lm.mlp_out(0, (embedded + lm.mlp_out(0, embedded[None])[0])[None])[0]": (
                    "applies the MLP twice",
                    "the first MLP is applied once",
                ),
                "embedded + lm.model.blocks[0].mlp(embedded[None])[0]": (
                    "leaves out the MLP's norm",
                    "the MLP reads the stream through its norm, ln2; hooked(model).mlp_out has it",
                ),
                "embedded + lm.model.blocks[0].mlp(lm.norm(0, 'ln1', embedded[None]))[0]": (
                    "uses attention's norm for the MLP",
                    "the MLP reads the stream through its own norm, ln2; hooked(model).mlp_out has it",
                ),
            },
        ),
    ],
)


def copying_cases(generator: torch.Generator) -> list[Case]:
    """Three models, another k for each, and names in no order."""
    return [
        Case(
            label=label,
            args=(make_model(cfg, generator), k, torch.randperm(D_VOCAB, generator=generator)[:n_names]),
            axes={"output": "sign layer n_heads"},
        )
        for (label, cfg), k, n_names in zip(CONFIGS.items(), (4, 3, 5), (13, 11, 14), strict=True)
    ]


def scores_without_gradients(function: Any, case: Case) -> Observations:
    """The scores; whether they carry a graph makes no difference."""
    seen = outputs(function, case)
    if isinstance(seen["output"], Tensor):
        seen["output"] = seen["output"].detach()
    return seen


def copying_by_counting(model: Any, k: int, names: Tensor) -> Tensor:
    """Name by name and head by head; counts how many logits are larger than the name's own."""
    lm = hooked(model)
    embedded = copying.embed_names(lm, names)
    hits = torch.zeros(2, lm.n_layers - 1, lm.n_heads)
    for layer in range(1, lm.n_layers):
        normed = lm.norm(layer, "ln1", embedded[:, None])[:, 0]
        for head in range(lm.n_heads):
            W_OV = lm.W_V(layer)[head] @ lm.W_O(layer)[head]
            for idx, output in enumerate((normed @ W_OV, normed @ -W_OV)):
                logits = lm.final_norm(output[:, None])[:, 0] @ lm.W_U
                logits = logits if lm.model.unembed.b_U is None else logits + lm.model.unembed.b_U
                for row, name in zip(logits, names.tolist(), strict=True):
                    hits[idx, layer - 1, head] += int((row > row[name]).sum()) < k
    return hits / len(names)


HEAD = """values = torch.einsum("nm,hmd->hnd", lm.norm(layer, "ln1", embedded[None])[0], lm.W_V(layer))
        outputs = values @ lm.W_O(layer)"""

test_get_copying_scores = exercise(
    reference=copying.get_copying_scores,
    cases=copying_cases,
    observe=scores_without_gradients,
    accepts=[copying_by_counting],
    equivalent={
        "range(1, lm.n_layers) -> range(0, lm.n_layers)": "layer 0 is written where the last layer then stands",
        "lm.norm(layer, 'ln1', embedded[None])[0] -> lm.norm(layer, 'ln1', embedded[None])[-1]": ONE_IN_THE_BATCH,
        "enumerate((1, -1)) -> enumerate((2, -1))": "the final norm takes the size of the output away",
        "enumerate((1, -1)) -> enumerate((1, -2))": "the final norm takes the size of the output away",
        "top = lm.unembed(sign * outputs).topk(k, dim=-1).indices -> "
        "top = lm.unembed(sign * outputs).topk(k).indices": "topk takes the last axis by default",
    },
    mistakes=[
        Mistake(
            "leaves out the first MLP", "embedded = embed_names(lm, names)", "embedded = lm.W_E[names]", PAST_THE_MLP
        ),
        Mistake(
            "leaves out the layer's norm",
            'lm.norm(layer, "ln1", embedded[None])[0], lm',
            "embedded, lm",
            why="a head reads the stream through its layer's norm, whose gain weights the dimensions",
        ),
        *instead_of(
            "lm.unembed(sign * outputs)",
            {
                "(sign * outputs @ lm.W_U)": (
                    "leaves out the final norm",
                    "the unembedding reads the stream through the final norm, whose gain weights the dimensions",
                ),
                "(sign * lm.unembed(outputs))": (
                    "multiplies the logits by -1",
                    "the head's output is multiplied by -1: the final norm and b_U come after it, and b_U keeps its sign",
                ),
                "lm.unembed(embedded + sign * outputs)": (
                    "adds the stream to the head's output",
                    "only the head's output is unembedded; the name's own stream would make the name likely anyway",
                ),
            },
        ),
        Mistake(
            "scores layer 0 too",
            HEAD,
            HEAD.replace("(layer", "(layer - 1"),
            why="layer 0 is left out: index 0 of the second axis is layer 1",
        ),
        Mistake(
            "uses W_V of the layer before",
            "lm.W_V(layer)",
            "lm.W_V(layer - 1)",
            why="both weights are those of the head's own layer",
        ),
        Mistake(
            "pairs one head's values with another head's output",
            "lm.W_O(layer)",
            "lm.W_O(layer).roll(1, dims=0)",
            why="W_V and W_O must belong to the same head",
        ),
        *instead_of(
            "topk(k, dim=-1)",
            {
                f"topk({wrong}, dim=-1)": (name, "a name counts if it's among the k likeliest tokens")
                for wrong, name in {
                    "k + 1": "counts a name among the k + 1 likeliest tokens",
                    "max(k - 1, 1)": "counts a name only among the k - 1 likeliest tokens",
                    "1": "counts a name only if it is the likeliest token",
                }.items()
            }
            | {
                "topk(k, dim=-1, largest=False)": (
                    "counts a name among the k least likely tokens",
                    "a name counts if it's among the k likeliest tokens, because copying makes it likely",
                )
            },
        ),
        *instead_of(
            "enumerate((1, -1))",
            {
                "enumerate((-1, 1))": (
                    "swaps positive and negative copying",
                    "the first row uses the head's output, and the second its output times -1",
                ),
                "enumerate((1, 1))": (
                    "returns the positive scores twice",
                    "for the second row the head's output is multiplied by -1 before the final norm",
                ),
            },
        ),
        Mistake(
            "returns the layers in the wrong order",
            "scores[idx, layer - 1]",
            "scores[idx, -layer]",
            why="index 0 of the second axis is layer 1, and so on upwards",
        ),
        *instead_of(
            "(top == names[:, None]).any(dim=-1).float().mean(dim=-1)",
            {
                "(top == names[:, None]).any(dim=-1).float().sum(dim=-1)": (
                    "counts hits instead of taking their share",
                    "a score is a share of the names, from 0 to 1",
                ),
                "100 * (top == names[:, None]).any(dim=-1).float().mean(dim=-1)": (
                    "returns percentages",
                    "a score is a share of the names, from 0 to 1",
                ),
                "torch.isin(top, names).any(dim=-1).float().mean(dim=-1)": (
                    "counts a hit if any of the names is among the k likeliest",
                    "for each name, only that name itself counts",
                ),
            },
        ),
    ],
)
