"""Judges of what a circuit keeps and what stands in for the rest: means by template, and the mask.

Shapes:  z "batch seq n_heads d_head"; a mask "n_layers batch seq n_heads".
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs, outputs_and_gradients
from arena_lib.interp.ioi import circuit
from arena_lib.tests.indirect_object_identification.small_prompts import make_prompts

__test__ = False


def means_cases(generator: torch.Generator) -> list[Case]:
    """Groups of different sizes that are mixed, one group, and each prompt by itself."""
    calls = {
        "groups of different sizes": ((6, 4, 2, 3), [2, 0, 2, 5, 2, 0]),
        "one template": ((3, 5, 2, 4), [1, 1, 1]),
        "each prompt by itself": ((2, 3, 4, 1), [3, 0]),
    }
    return [
        Case(
            label=label,
            args=(torch.randn(*shape, generator=generator), torch.tensor(groups)),
            axes={"output": "batch seq n_heads d_head"},
        )
        for label, (shape, groups) in calls.items()
    ]


def means_by_matrix(z: Tensor, groups: Tensor) -> Tensor:
    """Averages by a matrix of who is in whose group."""
    same = (groups[:, None] == groups).to(z)
    return torch.einsum("ij,j...->i...", same / same.sum(dim=1, keepdim=True), z)


def means_by_list(z: Tensor, groups: Tensor) -> Tensor:
    """Prompt by prompt."""
    return torch.stack([z[groups == group].sum(0) / (groups == group).sum() for group in groups])


def means_while_writing(z: Tensor, groups: Tensor, *, copies: bool) -> Tensor:
    """A wrong version that goes prompt by prompt, and reads means where it wrote them."""
    z = z.clone() if copies else z
    for i, group in enumerate(groups):
        z[i] = z[groups == group].mean(dim=0)
    return z


def means_of_runs(z: Tensor, groups: Tensor) -> Tensor:
    """A wrong version that takes neighbours of one template for the whole group."""
    _, counts = groups.unique_consecutive(return_counts=True)
    return torch.cat([run.mean(dim=0, keepdim=True).expand_as(run) for run in z.split(counts.tolist())])


test_compute_means_by_template = exercise(
    reference=circuit.compute_means_by_template,
    cases=means_cases,
    observe=outputs_and_gradients,
    accepts=[means_by_matrix, means_by_list],
    mistakes=[
        *instead_of(
            "= z[rows].mean(dim=0)",
            {
                "= z.mean(dim=0)": (
                    "averages over all prompts",
                    "a position holds another word in another template, so each template has its own mean",
                ),
                "= z[rows].mean(dim=(0, 1))": (
                    "averages over positions too",
                    "each position keeps a mean of its own",
                ),
                "= z[rows].mean(dim=(0, 2), keepdim=True)[0]": (
                    "averages over heads too",
                    "each head keeps a mean of its own",
                ),
                "= z[rows].mean()": (
                    "averages over positions, heads and dimensions too",
                    "each position, head and dimension keeps a mean of its own",
                ),
                "= z[rows].sum(dim=0)": (
                    "sums over the group and does not divide",
                    "the result is the mean over the group",
                ),
                "= z[rows].sum(dim=0) / len(groups.unique())": (
                    "divides by the number of groups",
                    "a group's mean is the sum over its prompts, divided by how many these are",
                ),
                "= z[rows].sum(dim=0) / max(int(rows.sum()) - 1, 1)": (
                    "divides by one less than the number of prompts",
                    "a mean divides by the number of prompts",
                ),
                "= (z[rows].sum(dim=0) - z[rows]) / max(int(rows.sum()) - 1, 1) if rows.sum() > 1 else z[rows]": (
                    "leaves each prompt out of its own group's mean",
                    "the mean is over all prompts of the group, this one included",
                ),
                "= z[rows].sum(dim=0) / len(z)": (
                    "divides by the number of all prompts",
                    "a group's mean is the sum over its prompts, divided by how many these are",
                ),
                "= z[rows][0]": (
                    "uses the first prompt of each template instead of the mean",
                    "one prompt still holds its own names, and the mean over many prompts doesn't",
                ),
                "= z[rows].median(dim=0).values": (
                    "uses the median instead of the mean",
                    "the result is the mean over the group",
                ),
                "= z[rows].sum(dim=0) - z[rows]": (
                    "leaves each prompt out of its own group's mean",
                    "the mean is over all prompts of the group, this one included",
                ),
            },
        ),
        *instead_of(
            "means = torch.empty_like(z)",
            {
                "means = z": ("writes the means into z", "z belongs to the cache: make a new tensor for the means"),
                "z = z.detach()\n    means = torch.empty_like(z)": (
                    "cuts the gradient off",
                    "the means may be differentiated, so don't detach anything",
                ),
            },
        ),
        Mistake(
            "divides by the mean size of the groups",
            "z[rows].mean(dim=0)",
            "z[rows].sum(dim=0) / (len(z) / len(groups.unique()))",
            why="groups have different sizes: divide a group's sum by how many prompts it has itself",
        ),
        *(
            Mistake(
                "reads z after it has written means into it",
                function=partial(means_while_writing, copies=copies),
                why="the means are those of z as it was: write them into a new tensor",
            )
            for copies in (False, True)
        ),
        Mistake(
            "takes a template that comes back later for another one",
            function=means_of_runs,
            why="prompts of a group may stand anywhere: choose them by groups == group",
        ),
        Mistake(
            "returns the prompts sorted by template",
            "return means",
            "return means[groups.argsort(stable=True)]",
            why="row i of the result belongs to prompt i",
        ),
        Mistake(
            "assumes that groups are numbered from 0 on",
            "for group in groups.unique():",
            "means.zero_()\n    for group in range(len(groups.unique())):",
            why="groups may have any numbers: go through groups.unique()",
        ),
        Mistake(
            "returns one mean for each group",
            "return means",
            "return torch.stack([means[groups == group][0] for group in groups.unique()])",
            why="each prompt gets the mean of its group, so there are as many rows as prompts",
        ),
    ],
)


CIRCUITS: dict[str, dict[str, list[tuple[int, int]]]] = {
    "heads of two classes": {"name mover": [(2, 1), (1, 3)], "induction": [(1, 0), (0, 2)]},
    "a head in two classes": {"induction": [(2, 0), (0, 1)], "previous token": [(1, 2)], "name mover": [(2, 0)]},
    "one head": {"previous token": [(0, 3)]},
    "a head in two classes of one position": {"name mover": [(1, 1), (2, 0)], "negative name mover": [(2, 0)]},
}
POSITIONS = {
    "name mover": "end",
    "negative name mover": "end",
    "induction": "S2",
    "previous token": "S1+1",
    "unused": "IO",
}


def mask_cases(generator: torch.Generator) -> list[Case]:
    """Circuits over prompts whose roles stand in different places, and the empty one; models of different sizes."""
    circuits = CIRCUITS | {"the empty circuit": {}}
    cases = []
    for i, (label, heads) in enumerate(circuits.items()):
        dataset, _ = make_prompts(4 + i, generator)
        sizes = (3 + i, dataset.toks.shape[1] + i, 5 - i // 2)
        cases.append(
            Case(
                label=label,
                args=(heads, POSITIONS, dict(dataset.word_idx), sizes),
                axes={"output": "n_layers batch seq n_heads"},
            )
        )
    return cases


def mask_by_loop(circuit: Any, seq_pos_to_keep: Any, word_idx: Any, sizes: Any) -> Tensor:
    """Entry by entry."""
    n_layers, seq, n_heads = sizes
    mask = torch.zeros(n_layers, len(word_idx["end"]), seq, n_heads).bool()
    for kind in circuit:
        for layer, head in circuit[kind]:
            for prompt, place in enumerate(word_idx[seq_pos_to_keep[kind]].tolist()):
                mask[layer, prompt, place, head] = True
    return mask


def mask_by_comparison(circuit: Any, seq_pos_to_keep: Any, word_idx: Any, sizes: Any) -> Tensor:
    """Compares positions, and joins the classes by or."""
    n_layers, seq, n_heads = sizes
    mask = torch.zeros(n_layers, word_idx["end"].shape[0], seq, n_heads, dtype=torch.bool)
    for kind, heads in circuit.items():
        is_place = torch.arange(seq)[None, :] == word_idx[seq_pos_to_keep[kind]][:, None]
        for layer, head in heads:
            mask[layer, :, :, head] |= is_place
    return mask


test_make_circuit_mask = exercise(
    reference=circuit.make_circuit_mask,
    cases=mask_cases,
    observe=outputs,
    accepts=[mask_by_loop, mask_by_comparison],
    mistakes=[
        *instead_of(
            "mask[layer, prompts, word_idx[seq_pos_to_keep[kind]], head]",
            {
                "mask[layer, :, word_idx[seq_pos_to_keep[kind]], head]": (
                    "keeps every prompt's positions in every prompt",
                    "each prompt has its own position: pair prompts and positions by indexing with both",
                ),
                "mask[layer, prompts, :, head]": (
                    "keeps heads at all positions",
                    "a class of heads is kept only at the position where it works",
                ),
                "mask[layer, prompts, word_idx[seq_pos_to_keep[kind]][0], head]": (
                    "uses the first prompt's position for all prompts",
                    "a role may be at another position in another template, so each prompt has its own",
                ),
                'mask[layer, prompts, word_idx["end"], head]': (
                    "keeps every head at the end",
                    "seq_pos_to_keep says at which role's position a class of heads is kept",
                ),
                "mask[layer, prompts, word_idx[seq_pos_to_keep[kind]] + 1, head]": (
                    "keeps the position after the role's",
                    "word_idx holds the position of the role itself",
                ),
                "mask[layer, prompts, word_idx[seq_pos_to_keep[kind]].max(), head]": (
                    "uses the latest position of the role for all prompts",
                    "a role may be at another position in another template, so each prompt has its own",
                ),
                "mask[layer, prompts, -1, head]": (
                    "uses the last position for every role",
                    "word_idx holds the position of each role in each prompt, and seq_pos_to_keep says which role a class has",
                ),
                "mask[layer, prompts, word_idx[seq_pos_to_keep[kind]]]": (
                    "keeps all heads of a layer that has a head of the circuit",
                    "heads are the last axis, and the others of the layer are ablated",
                ),
                "mask[head % n_layers, prompts, word_idx[seq_pos_to_keep[kind]], layer]": (
                    "uses the head's number as the layer",
                    "a head is (layer, head), and the mask has layers first and heads last",
                ),
                "mask[:, prompts, word_idx[seq_pos_to_keep[kind]], head]": (
                    "keeps the head's number in every layer",
                    "a head is (layer, head): it is kept only in its own layer",
                ),
            },
        ),
        *instead_of(
            "        for layer, head in heads:\n",
            {
                "        for layer, head in heads:\n            mask[layer, :, :, head] = False\n": (
                    "keeps a head at the positions of only one of its classes",
                    "a head in two classes is kept at the positions of both",
                ),
                "        for layer, head in heads:\n            if mask[layer, :, :, head].any():\n                continue\n": (
                    "keeps a head at the positions of only one of its classes",
                    "a head in two classes is kept at the positions of both",
                ),
                "        for layer, head in heads[:1]:\n": (
                    "keeps only the first head of each class",
                    "a class has several heads, and all of them belong to the circuit",
                ),
            },
        ),
        *instead_of(
            "            mask[layer, prompts, word_idx[seq_pos_to_keep[kind]], head] = True\n",
            {
                **{
                    f"            mask[layer, :, :, head] |= torch.arange(seq) {sign} word_idx[seq_pos_to_keep[kind]][:, None]\n": (
                        f"keeps all positions {words} the role's",
                        "a class of heads is kept only at the position where it works",
                    )
                    for sign, words in {"<=": "up to", ">=": "from", "<": "before", "!=": "except"}.items()
                },
                "            mask[layer, prompts, word_idx[seq_pos_to_keep[kind]], head] ^= True\n": (
                    "switches off a place that two classes share",
                    "a head keeps its output at the positions of all its classes",
                ),
            },
        ),
        Mistake(
            "keeps the first prompt's mask only",
            "    return mask",
            "    return mask[:, :1]",
            why="each prompt has positions of its own, so the mask has a row for each prompt",
        ),
        Mistake(
            "returns heads before positions",
            "    return mask",
            "    return mask.transpose(2, 3)",
            why="the axes are n_layers, batch, seq, n_heads",
        ),
        Mistake(
            "marks what is ablated instead of what is kept",
            "    return mask",
            "    return ~mask",
            why="the mask is True for what is kept, and False for what is ablated",
        ),
        *(
            Mistake(
                "returns numbers instead of booleans",
                "    return mask",
                f"    return mask.{kind}()",
                why="the mask holds booleans: later code indexes with it and inverts it with ~",
            )
            for kind in ("float", "long", "int")
        ),
        *instead_of(
            "for kind, heads in circuit.items():",
            {
                "for kind, heads in list(circuit.items())[:1]:": (
                    "keeps only the first class",
                    "all classes belong to the circuit",
                ),
                "for kind, heads in list(circuit.items())[-1:]:": (
                    "keeps only the last class",
                    "all classes belong to the circuit",
                ),
            },
        ),
        Mistake(
            "returns the prompts before the layers",
            "    return mask",
            "    return mask.transpose(0, 1)",
            why="the axes are n_layers, batch, seq, n_heads",
        ),
    ],
)
