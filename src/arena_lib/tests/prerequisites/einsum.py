"""Judges of einsum: the trace, products of vectors, matrices and batches, and attention scores."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.puzzles import products
from arena_lib.tests.prerequisites.tensors import calls, floats

__test__ = False


def array(generator: torch.Generator, *shape: int) -> np.ndarray:
    """Random numbers of both signs, float64 as numpy has them."""
    numbers: np.ndarray = floats(generator, *shape).double().numpy()
    return numbers


def number_or_array(function: Any, case: Case) -> dict[str, Any]:
    """As `outputs`; a number of Python or numpy and an array without axes are one and the same."""
    output = function(*case.fresh().args)
    return {"output": np.asarray(output)}


def trace_cases(generator: torch.Generator) -> list[Case]:
    """Square matrices of several sizes, one number."""
    return calls({f"{n} by {n}": (array(generator, n, n),) for n in (4, 3, 1)})


test_einsum_trace = exercise(
    reference=products.einsum_trace,
    cases=trace_cases,
    observe=number_or_array,
    accepts=[lambda mat: np.einsum("ii->", mat), lambda mat: mat.diagonal().sum()],
    mistakes=[
        *instead_of(
            'einops.einsum(mat, "n n ->")',
            {
                'einops.einsum(mat, "rows columns ->")': (
                    "sums all entries",
                    "one name for both axes takes the entries where both are equal: the diagonal",
                ),
                'einops.einsum(mat, "n n -> n")': (
                    "returns the diagonal",
                    "an axis that is missing on the right is summed over",
                ),
                'einops.einsum(mat[:, ::-1], "n n ->")': (
                    "takes the other diagonal",
                    "the diagonal goes from the top left to the bottom right",
                ),
                'einops.einsum(np.abs(mat), "n n ->")': ("drops the signs", "the entries are added as they are"),
                'einops.einsum(mat, "n n ->") / len(mat)': ("takes the mean", "the trace is a sum"),
            },
        ),
    ],
)


def mv_cases(generator: torch.Generator) -> list[Case]:
    """High, wide and square matrices, one row."""
    sizes = {"a high matrix": (4, 3), "a wide matrix": (2, 5), "a square matrix": (3, 3), "one row": (1, 4)}
    arguments = {label: (array(generator, *size), array(generator, size[1])) for label, size in sizes.items()}
    return calls(arguments, "n_rows")


test_einsum_mv = exercise(
    reference=products.einsum_mv,
    cases=mv_cases,
    observe=number_or_array,
    accepts=[lambda mat, vec: np.einsum("ij,j->i", mat, vec), lambda mat, vec: mat @ vec],
    mistakes=[
        *instead_of(
            "columns -> rows",
            {
                "columns -> rows columns": (
                    "does not sum",
                    "an axis that is missing on the right is summed over: columns",
                ),
                "columns -> columns": ("sums over the rows", "each row has a result: rows stays, columns goes"),
                "columns ->": ("sums everything", "each row has a result"),
                "other -> rows": (
                    "sums both by themselves",
                    "the same name on both sides of the comma multiplies in pairs",
                ),
            },
        ),
        Mistake(
            "turns the vector round",
            "mat, vec,",
            "mat, vec[::-1],",
            why="the first number of the vector belongs to the first column",
        ),
    ],
)


def mm_cases(generator: torch.Generator) -> list[Case]:
    """Different sizes, square matrices, an inner axis of one."""
    sizes = {"2 by 4 times 4 by 3": (2, 4, 3), "square": (3, 3, 3), "an inner axis of one": (4, 1, 2)}
    return calls(
        {
            label: (array(generator, n_rows, n_inner), array(generator, n_inner, n_columns))
            for label, (n_rows, n_inner, n_columns) in sizes.items()
        },
        "n_rows n_columns",
    )


test_einsum_mm = exercise(
    reference=products.einsum_mm,
    cases=mm_cases,
    observe=number_or_array,
    accepts=[lambda mat1, mat2: np.einsum("ij,jk->ik", mat1, mat2), lambda mat1, mat2: mat1 @ mat2],
    mistakes=[
        *instead_of(
            "-> rows columns",
            {
                "-> columns rows": ("returns the transpose", "the rows are those of mat1, and come first"),
                "-> rows inner columns": ("does not sum", "an axis that is missing on the right is summed over: inner"),
            },
        ),
        *instead_of(
            "inner columns ->",
            {
                "other columns ->": (
                    "sums both by themselves",
                    "one name in both matrices multiplies in pairs: the inner axis",
                ),
            },
        ),
        *instead_of(
            "einops.einsum(mat1, mat2,",
            {
                "einops.einsum(mat1, mat2[::-1],": ("turns the inner axis round", "equal positions are multiplied"),
                "einops.einsum(mat1, np.abs(mat2),": ("drops signs", "the numbers are taken as they are"),
            },
        ),
    ],
)


def vectors_cases(generator: torch.Generator) -> list[Case]:
    """Several lengths, one number."""
    return calls({f"{n} numbers": (array(generator, n), array(generator, n)) for n in (5, 2)})


test_einsum_inner = exercise(
    reference=products.einsum_inner,
    cases=vectors_cases,
    observe=number_or_array,
    accepts=[lambda vec1, vec2: np.einsum("i,i->", vec1, vec2), lambda vec1, vec2: vec1 @ vec2],
    mistakes=[
        *instead_of(
            '"n, n ->"',
            {
                '"n, n -> n"': ("does not sum", "an axis that is missing on the right is summed over"),
                '"n, m ->"': ("multiplies the two sums", "one name for both axes multiplies equal positions"),
                '"n, m -> n m"': ("gives all products", "equal positions are multiplied, and the products added"),
            },
        ),
        *instead_of(
            "einops.einsum(vec1, vec2,",
            {
                "einops.einsum(vec1, vec1,": ("takes the first vector twice", "both vectors count"),
                "einops.einsum(vec1, vec2[::-1],": ("turns the second round", "equal positions are multiplied"),
            },
        ),
    ],
    equivalent={"return einops.einsum(vec1, vec2, 'n, n ->')": "the factors of a product may change places"},
)


def outer_cases(generator: torch.Generator) -> list[Case]:
    """Vectors of different and of equal lengths."""
    sizes = {"4 and 3 numbers": (4, 3), "1 and 5 numbers": (1, 5), "equal lengths": (3, 3)}
    arguments = {label: (array(generator, first), array(generator, second)) for label, (first, second) in sizes.items()}
    return calls(arguments, "n_rows n_columns")


test_einsum_outer = exercise(
    reference=products.einsum_outer,
    cases=outer_cases,
    observe=number_or_array,
    accepts=[lambda vec1, vec2: np.einsum("i,j->ij", vec1, vec2), lambda vec1, vec2: vec1[:, None] * vec2],
    mistakes=[
        *instead_of(
            "-> rows columns",
            {
                "-> columns rows": ("returns the transpose", "the rows belong to vec1, and come first"),
                "-> rows": ("sums over vec2", "an axis that is missing on the right is summed over: name both"),
                "->": ("sums everything", "an axis that is missing on the right is summed over: name both"),
            },
        ),
        *instead_of(
            "einops.einsum(vec1, vec2,",
            {
                "einops.einsum(vec1, np.abs(vec2),": ("drops signs", "the numbers are taken as they are"),
                "einops.einsum(vec1, vec2[::-1],": ("turns vec2 round", "entry [i, j] is vec1[i] * vec2[j]"),
            },
        ),
    ],
)


def batches_cases(generator: torch.Generator) -> list[Case]:
    """Different sizes, equal ones, a batch of one."""
    sizes = {"different sizes": (2, 3, 5, 4), "equal sizes": (3, 3, 3, 3), "a batch of one": (1, 2, 3, 4)}
    return calls(
        {
            label: (floats(generator, batch, n_rows, n_inner), floats(generator, batch, n_inner, n_columns))
            for label, (batch, n_rows, n_inner, n_columns) in sizes.items()
        },
        "batch n_rows n_columns",
    )


test_batched_product = exercise(
    reference=products.batched_product,
    cases=batches_cases,
    accepts=[torch.bmm, lambda first, second: first @ second],
    mistakes=[
        *instead_of(
            "batch inner columns -> batch rows columns",
            {
                "other inner columns -> batch rows columns": (
                    "multiplies with the sum of all second matrices",
                    "each example has its own: batch is one name on both sides of the comma",
                ),
                "batch inner columns -> rows columns": (
                    "sums over the batch",
                    "each example keeps its own product: batch stands on the right",
                ),
                "batch inner columns -> batch columns rows": ("returns transposes", "the rows come first"),
                "batch other columns -> batch rows columns": (
                    "sums both by themselves",
                    "one name in both matrices multiplies in pairs: the inner axis",
                ),
            },
        ),
        Mistake(
            "takes the first example's matrix for all",
            "first, second,",
            "first, second[:1].expand_as(second),",
            why="each example has its own",
        ),
    ],
)


def queries_cases(generator: torch.Generator) -> list[Case]:
    """More keys than queries, as many, one head, one text."""
    sizes = {
        "more keys than queries": (2, 3, 5, 4, 6),
        "as many keys as heads": (2, 3, 3, 3, 2),
        "one head": (3, 2, 4, 1, 5),
        "one text": (1, 4, 2, 3, 2),
    }
    return calls(
        {
            label: (floats(generator, batch, seq_q, n_heads, d_head), floats(generator, batch, seq_k, n_heads, d_head))
            for label, (batch, seq_q, seq_k, n_heads, d_head) in sizes.items()
        },
        "batch n_heads seq_q seq_k",
    )


test_attention_scores = exercise(
    reference=products.attention_scores,
    cases=queries_cases,
    accepts=[
        lambda q, k: torch.einsum("bqhd,bkhd->bhqk", q, k),
        lambda q, k: q.transpose(1, 2) @ k.transpose(1, 2).mT,
    ],
    mistakes=[
        *instead_of(
            "batch seq_k n_heads d_head ->",
            {
                "batch seq_k other d_head ->": (
                    "lets every head see all heads' keys",
                    "n_heads is one name on both sides of the comma, so that each head sees its own keys",
                ),
                "other seq_k n_heads d_head ->": (
                    "lets every text see all texts' keys",
                    "batch is one name on both sides of the comma, so that each text sees its own keys",
                ),
                "batch seq_k n_heads other ->": (
                    "sums both by themselves",
                    "one name in both multiplies in pairs: d_head",
                ),
            },
        ),
        *instead_of(
            "-> batch n_heads seq_q seq_k",
            {
                "-> batch n_heads seq_k seq_q": ("swaps queries and keys", "the queries' axis comes before the keys'"),
                "-> batch seq_q n_heads seq_k": ("leaves the heads third", "the heads' axis is the second"),
            },
        ),
        *instead_of(
            "q, k,",
            {
                "q / q.shape[-1] ** 0.5, k,": ("scales the scores", "nothing is scaled here"),
                "q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True),": (
                    "makes queries and keys as long as 1",
                    "the dot product of the vectors as they are is asked for",
                ),
            },
        ),
        Mistake(
            "reshapes instead of moving the heads",
            function=lambda q, k: (
                q.reshape(len(q), q.shape[2], q.shape[1], -1) @ k.reshape(len(k), k.shape[2], k.shape[1], -1).mT
            ),
            why="reshape keeps the numbers in their order, and mixes positions with heads: use transpose(1, 2), or names",
        ),
        Mistake(
            "takes the softmax",
            function=lambda q, k: products.attention_scores(q, k).softmax(dim=-1),
            why="the scores themselves are asked for; their softmax is the pattern",
        ),
        Mistake(
            "sums over the heads",
            function=lambda q, k: (
                products.attention_scores(q, k).sum(dim=1, keepdim=True).expand(-1, q.shape[2], -1, -1)
            ),
            why="each head has scores of its own: n_heads stands on the right as well",
        ),
    ],
)
