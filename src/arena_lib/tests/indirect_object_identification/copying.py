"""Judges of copying scores: names as the heads see them, and what each head's output makes likely.

Shapes:  names "n_names" -> "n_names d_model", and "2 n_layers-1 n_heads".
"""

from dataclasses import replace
from functools import partial
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


def first_block(model: Any, names: Tensor, *, keeps_mlp: bool) -> Tensor:
    """A wrong version: each name is a text of one token, which attends to itself."""
    lm = hooked(model)
    silence = [] if keeps_mlp or not lm.has_mlp else [("blocks.0.hook_mlp_out", lambda out, hook: 0 * out)]
    return lm.run(names[:, None], silence, stop_at_layer=1)[:, 0]


ONE_IN_THE_BATCH = "the batch has one row, which is the first and the last"
PAST_THE_MLP = "later heads read the stream after the first MLP, which changes the vectors of names"

test_embed_names = exercise(
    reference=copying.embed_names,
    cases=embed_cases,
    observe=outputs,
    accepts=[embed_by_loop],
    equivalent={
        "added = lm.mlp_out(0, embedded[None])[0] -> added = lm.mlp_out(0, embedded[None])[-1]": ONE_IN_THE_BATCH
    },
    mistakes=[
        Mistake(
            "keeps an axis of length 1 in front",
            "    if not lm.has_mlp:\n        return embedded\n",
            "    embedded = embedded[None]\n    if not lm.has_mlp:\n        return embedded\n",
            why="the result has a row for each name",
        ),
        *instead_of(
            "lm.W_E[names]",
            {
                "lm.W_E[names] + (lm.model.pos_embed.W_pos[0] if hasattr(lm.model, 'pos_embed') else 0)": (
                    "adds the embedding of a position",
                    "the result doesn't depend on a position: it starts from W_E[name] only",
                ),
                "lm.W_U[:, names].T": (
                    "uses the unembedding's columns",
                    "what heads read of a name starts from its row of W_E",
                ),
            },
        ),
        Mistake(
            "returns zeros for a model without MLPs",
            "        return embedded\n",
            "        return torch.zeros_like(embedded)\n",
            why="without an MLP nothing is added, and the embedding itself stays",
        ),
        *instead_of(
            "return embedded + added",
            {
                "return embedded": ("leaves out the first MLP", PAST_THE_MLP),
                "return added": (
                    "leaves out the embedding itself",
                    "the MLP adds to the stream, so the embedding is still part of it",
                ),
                "return lm.norm(0, 'ln2', embedded[None])[0] + added": (
                    "adds the MLP's output to the normed embedding",
                    "the MLP adds to the stream itself; only what the MLP reads is normed",
                ),
                "return embedded - added": ("subtracts the MLP's output", "the MLP adds to the stream"),
                "return lm.final_norm(embedded + added)": (
                    "applies the final norm",
                    "the result is the stream after the first block, before any later norm",
                ),
                "return lm.norm(1, 'ln1', (embedded + added)[None])[0]": (
                    "applies the next layer's norm",
                    "the result is the stream itself; a head's norm is applied to it later",
                ),
            },
        ),
        *instead_of(
            "added = lm.mlp_out(0, embedded[None])[0]",
            {
                "added = lm.mlp_out(1, embedded[None])[0]": (
                    "uses the second layer's MLP",
                    "a name passes the first MLP, that of layer 0, before the heads of layer 1 read it",
                ),
                "added = lm.mlp_out(lm.n_layers - 1, embedded[None])[0]": (
                    "uses the last layer's MLP",
                    "a name passes the first MLP before the heads of layer 1 read it",
                ),
                "added = sum(lm.mlp_out(layer, embedded[None])[0] for layer in range(lm.n_layers))": (
                    "adds the MLPs of all layers",
                    "a name passes only the first MLP, that of layer 0, before the heads of layer 1 read it",
                ),
                "added = 0\n    for layer in range(lm.n_layers):\n"
                "        added = added + lm.mlp_out(layer, (embedded + added)[None])[0]": (
                    "passes the name through the MLPs of all layers",
                    "a name passes only the first MLP, that of layer 0, before the heads of layer 1 read it",
                ),
                "added = lm.mlp_out(0, (embedded + lm.mlp_out(0, embedded[None])[0])[None])[0]": (
                    "applies the MLP twice",
                    "the first MLP is applied once",
                ),
                "added = lm.model.blocks[0].mlp(embedded[None])[0]": (
                    "leaves out the MLP's norm",
                    "the MLP reads the stream through its norm, ln2; hooked(model).mlp_out has it",
                ),
                "added = lm.mlp_out(0, lm.norm(0, 'ln2', embedded[None]))[0]": (
                    "applies the MLP's norm twice",
                    "hooked(model).mlp_out applies the norm itself, so it's given the stream as it is",
                ),
                "added = lm.model.blocks[0].mlp(lm.norm(0, 'ln1', embedded[None]))[0]": (
                    "uses attention's norm for the MLP",
                    "the MLP reads the stream through its own norm, ln2; hooked(model).mlp_out has it",
                ),
                "added = lm.mlp_out(0, embedded.mean(dim=0, keepdim=True)[None])[0]": (
                    "gives the MLP the mean of the names",
                    "each name passes the MLP by itself",
                ),
            },
        ),
        *(
            Mistake(
                "runs the first block with its attention",
                function=partial(first_block, keeps_mlp=keeps_mlp),
                why="attention of the first block does nothing here, so only its MLP adds to the embedding",
            )
            for keeps_mlp in (True, False)
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


def copying_by_counting(model: Any, k: int, names: Tensor, first: int = 1, among_names: bool = False) -> Tensor:
    """Name by name and head by head; counts how many logits are larger than the name's own."""
    lm = hooked(model)
    embedded = copying.embed_names(lm, names)
    rivals = names if among_names else torch.arange(lm.d_vocab)
    hits = torch.zeros(2, lm.n_layers - first, lm.n_heads)
    for layer in range(first, lm.n_layers):
        normed = lm.norm(layer, "ln1", embedded[:, None])[:, 0]
        for head in range(lm.n_heads):
            W_OV = lm.W_V(layer)[head] @ lm.W_O(layer)[head]
            for idx, output in enumerate((normed @ W_OV, normed @ -W_OV)):
                logits = lm.final_norm(output[:, None])[:, 0] @ lm.W_U
                logits = logits if lm.model.unembed.b_U is None else logits + lm.model.unembed.b_U
                for row, name in zip(logits, names.tolist(), strict=True):
                    hits[idx, layer - first, head] += int((row[rivals] > row[name]).sum()) < k
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
        *instead_of(
            'lm.norm(layer, "ln1", embedded[None])[0], lm',
            {
                "embedded, lm": (
                    "leaves out the layer's norm",
                    "a head reads the stream through its layer's norm, whose gain weights the dimensions",
                ),
                'lm.norm(0, "ln1", embedded[None])[0], lm': (
                    "uses layer 0's norm for every layer",
                    "a head reads the stream through the norm of its own layer",
                ),
                'lm.norm(layer - 1, "ln1", embedded[None])[0], lm': (
                    "uses the norm of the layer before",
                    "a head reads the stream through the norm of its own layer",
                ),
                '(lm.norm(layer, "ln2", embedded[None])[0] if lm.has_mlp else embedded), lm': (
                    "uses the MLP's norm",
                    "a head reads the stream through ln1",
                ),
                "lm.final_norm(embedded), lm": (
                    "uses the final norm before the head",
                    "a head reads the stream through its own layer's norm, ln1",
                ),
            },
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
                "lm.model.unembed(sign * outputs)": (
                    "leaves out the final norm",
                    "the unembedding reads the stream through the final norm, whose gain weights the dimensions",
                ),
                "(lm.final_norm(sign * outputs) @ lm.W_U)": (
                    "leaves out b_U",
                    "the end of the model is final norm, W_U and b_U: hooked(model).unembed",
                ),
                "lm.unembed(embedded + sign * outputs)": (
                    "adds the stream to the head's output",
                    "only the head's output is unembedded; the name's own stream would make the name likely anyway",
                ),
            },
        ),
        Mistake(
            "scores the layers from 0 on, without the last",
            HEAD,
            HEAD.replace("(layer", "(layer - 1"),
            why="layer 0 is left out: index 0 of the second axis is layer 1",
        ),
        Mistake(
            "scores layer 0 too",
            function=partial(copying_by_counting, first=0),
            why="layer 0 is left out: the second axis has n_layers - 1 entries",
        ),
        Mistake(
            "ranks names among names only",
            function=partial(copying_by_counting, among_names=True),
            why="a name must be among the k likeliest of all tokens",
        ),
        *instead_of(
            "lm.W_V(layer)",
            {
                "lm.W_V(layer - 1)": (
                    "uses W_V of the layer before",
                    "both weights are those of the head's own layer",
                ),
                "lm.model.blocks[layer].attn.W_V[[h % lm.n_kv_heads for h in range(lm.n_heads)]]": (
                    "assumes that every n_kv_heads-th head shares W_V",
                    "neighbouring query heads share one W_V: hooked(model).W_V(l) has one for each query head",
                ),
            },
        ),
        *(
            Mistake(
                "pairs one head's values with another head's output",
                "lm.W_O(layer)",
                f"lm.W_O(layer).roll({by}, dims=0)",
                why="W_V and W_O must belong to the same head",
            )
            for by in (1, -1)
        ),
        Mistake(
            "uses the weights of layer 0 in every layer",
            HEAD,
            HEAD.replace("lm.W_V(layer)", "lm.W_V(0)").replace("lm.W_O(layer)", "lm.W_O(0)"),
            why="both weights are those of the head's own layer",
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
                "enumerate((-1, -1))": (
                    "returns the negative scores twice",
                    "the first row uses the head's output as it is",
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
                "(top[:, :1] == names[:, None]).any(dim=-1).float().mean(dim=-1)": (
                    "looks up the first name's likeliest tokens for all names",
                    "each name has an output of its own",
                ),
                "lm.unembed(sign * outputs).softmax(dim=-1)[:, range(len(names)), names].mean(dim=-1)": (
                    "averages the probability of the names",
                    "a score is the share of names that are among the k likeliest tokens",
                ),
                "torch.isin(top, names).any(dim=-1).float().mean(dim=-1)": (
                    "counts a hit if any of the names is among the k likeliest",
                    "for each name, only that name itself counts",
                ),
            },
        ),
    ],
)
