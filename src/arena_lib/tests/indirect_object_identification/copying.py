"""Judges of copying scores: names as the heads see them, and what each head's output makes likely.

Shapes:  names "n_names" -> "n_names d_model", and "2 n_layers-1 n_heads".
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, outputs
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


test_embed_names = exercise(
    reference=copying.embed_names,
    cases=embed_cases,
    observe=outputs,
    accepts=[embed_by_loop],
    mistakes=[
        Mistake(
            "leaves out the first MLP",
            "embedded + lm.mlp_out(0, embedded[None])[0] if lm.has_mlp else embedded",
            "embedded",
            why="later heads read the stream after the first MLP, which has changed what names look like",
        ),
        Mistake(
            "leaves out the embedding itself",
            "embedded + lm.mlp_out(0, embedded[None])[0]",
            "lm.mlp_out(0, embedded[None])[0]",
            why="the MLP adds to the stream: what it reads is still there",
        ),
        Mistake(
            "takes the last layer's MLP",
            "lm.mlp_out(0,",
            "lm.mlp_out(lm.n_layers - 1,",
            why="a name passes the first MLP before the heads of layer 1 read it",
        ),
        Mistake(
            "passes the MLP twice",
            "lm.mlp_out(0, embedded[None])[0]",
            "lm.mlp_out(0, (embedded + lm.mlp_out(0, embedded[None])[0])[None])[0]",
            why="it is passed once",
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


def scores_and_device(function: Any, case: Case) -> Observations:
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
    observe=scores_and_device,
    accepts=[copying_by_counting],
    mistakes=[
        Mistake(
            "leaves out the first MLP",
            "embedded = embed_names(lm, names)",
            "embedded = lm.W_E[names]",
            why="later heads read the stream after the first MLP, which has changed what names look like",
        ),
        Mistake(
            "leaves out the layer's norm",
            'lm.norm(layer, "ln1", embedded[None])[0], lm',
            "embedded, lm",
            why="a head reads the stream through its layer's norm, whose gain counts dimensions differently",
        ),
        Mistake(
            "leaves out the final norm",
            "lm.unembed(sign * outputs)",
            "(sign * outputs @ lm.W_U)",
            why="the unembedding reads the stream through the final norm, whose gain counts dimensions differently",
        ),
        Mistake(
            "turns the logits round",
            "lm.unembed(sign * outputs)",
            "(sign * lm.unembed(outputs))",
            why="it's the head's output that is turned: the final norm and b_U come after it, and b_U keeps its sign",
        ),
        Mistake(
            "adds the stream to the head's output",
            "lm.unembed(sign * outputs)",
            "lm.unembed(embedded + sign * outputs)",
            why="what the head writes is looked at by itself; the name's own stream would make the name likely anyway",
        ),
        Mistake(
            "scores the layers from 0 on",
            HEAD,
            HEAD.replace("(layer", "(layer - 1"),
            why="layer 0 is left out: index 0 of the second axis is layer 1",
        ),
        Mistake(
            "takes W_V of the layer before",
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
        Mistake(
            "looks at one token more than k",
            "topk(k, dim",
            "topk(k + 1, dim",
            why="a name counts if it's among the k likeliest tokens",
        ),
        Mistake(
            "looks at the likeliest token alone",
            "topk(k, dim",
            "topk(1, dim",
            why="a name counts if it's among the k likeliest tokens",
        ),
        Mistake(
            "looks at the least likely tokens",
            "topk(k, dim=-1)",
            "topk(k, dim=-1, largest=False)",
            why="positive copying makes a name likely",
        ),
        Mistake(
            "has positive and negative copying the wrong way round",
            "enumerate((1, -1))",
            "enumerate((-1, 1))",
            why="the first row is the head as it is, the second its output times -1",
        ),
        Mistake(
            "has the positive scores twice",
            "enumerate((1, -1))",
            "enumerate((1, 1))",
            why="for the second row the head's output is multiplied by -1 before the final norm",
        ),
        Mistake(
            "puts the layers in the wrong order",
            "scores[idx, layer - 1]",
            "scores[idx, -layer]",
            why="index 0 of the second axis is layer 1, and so on upwards",
        ),
        Mistake(
            "counts hits instead of taking their share",
            ".float().mean(dim=-1)",
            ".float().sum(dim=-1)",
            why="a score is a share of the names, from 0 to 1",
        ),
        Mistake(
            "asks whether any of the names is among the top",
            "(top == names[:, None]).any(dim=-1)",
            "torch.isin(top, names).any(dim=-1)",
            why="each head's output for a name is searched for that very name",
        ),
    ],
)
