"""Judges of the trace and of products of matrices by views."""

import torch

from arena_lib.checking import Case, also_called, exercise, instead_of
from arena_lib.fundamentals.convolutions import products
from arena_lib.tests.cnns_and_resnets.layouts import ASK_STRIDES, BEGINS, FLOWS, draw, in_all_layouts, strided, whole

__test__ = False

DIAGONAL = "from mat[0, 0] to mat[1, 1] is one step down and one to the right: both strides together"


def trace_cases(generator: torch.Generator) -> list[Case]:
    """Squares of several sizes, high and wide matrices, a single number."""
    return [
        *in_all_layouts("three by three", draw(generator, 3, 3)),
        *in_all_layouts("five by five whole numbers", whole(generator, 5, 5)),
        *in_all_layouts("more rows than columns", draw(generator, 4, 2)),
        *in_all_layouts("more columns than rows", draw(generator, 2, 5)),
        *in_all_layouts("one number", draw(generator, 1, 1)),
    ]


test_as_strided_trace = exercise(
    reference=products.as_strided_trace,
    cases=trace_cases,
    observe=strided,
    accepts=[torch.trace, lambda mat: mat.diagonal().sum()],
    mistakes=[
        *instead_of(
            "mat.as_strided((min(mat.shape),), (stride_i + stride_j,)).sum()",
            {
                "mat.as_strided((min(mat.shape),), (mat.shape[1] + 1,)).sum()": (
                    "works the stride out from the shape",
                    ASK_STRIDES,
                ),
                "mat.as_strided((min(mat.shape),), (stride_i + 1,)).sum()": (
                    "takes the stride along a row for 1",
                    ASK_STRIDES,
                ),
                "mat.as_strided((len(mat),), (stride_i + stride_j,)).sum()": (
                    "takes as many entries as there are rows",
                    "the diagonal ends where rows or columns do",
                ),
                "mat.as_strided((min(mat.shape),), (stride_i,)).sum()": ("adds up the first column", DIAGONAL),
                "mat.as_strided((min(mat.shape),), (stride_j,)).sum()": ("adds up the first row", DIAGONAL),
                "mat.as_strided((min(mat.shape),), (stride_i + stride_j,), 0).sum()": (
                    "begins where memory begins",
                    BEGINS,
                ),
                "mat.as_strided((min(mat.shape) - 1,), (stride_i + stride_j,)).sum()": (
                    "leaves the last entry out",
                    "there are as many entries as rows or columns, whichever are fewer",
                ),
                "mat.detach().as_strided((min(mat.shape),), (stride_i + stride_j,)).sum()": (
                    "cuts the gradient off",
                    FLOWS,
                ),
                "mat.flip(1).diagonal().sum()": (
                    "takes the other diagonal",
                    "the diagonal leads from the top left downwards to the right",
                ),
                "mat.as_strided((min(mat.shape),), (stride_i + stride_j,)).sum() / min(mat.shape)": (
                    "takes the mean",
                    "a trace is a sum",
                ),
            },
        )
    ],
)
test_trace = also_called(test_as_strided_trace)


def mv_cases(generator: torch.Generator) -> list[Case]:
    """High, wide and square matrices, one row, one column."""
    return [
        *in_all_layouts("four by three", draw(generator, 4, 3), draw(generator, 3)),
        *in_all_layouts("two by five, whole numbers", whole(generator, 2, 5), whole(generator, 5)),
        *in_all_layouts("a square", draw(generator, 3, 3), draw(generator, 3)),
        *in_all_layouts("one row", draw(generator, 1, 4), draw(generator, 4)),
        *in_all_layouts("one column", draw(generator, 3, 1), draw(generator, 1)),
    ]


REPEATED = "each *row* of the view is vec: from row to row the stride is 0, along a row it's vec's own"

test_as_strided_mv = exercise(
    reference=products.as_strided_mv,
    cases=mv_cases,
    observe=strided,
    accepts=[lambda mat, vec: mat @ vec, lambda mat, vec: torch.stack([(row * vec).sum() for row in mat])],
    mistakes=[
        *instead_of(
            "vec.as_strided(mat.shape, (0, stride))",
            {
                "vec.as_strided(mat.shape, (0, 1))": ("takes vec's stride for 1", ASK_STRIDES),
                "vec.as_strided(mat.shape, (stride, 0))": (
                    "repeats vec along the columns",
                    REPEATED,
                ),
                "vec.as_strided(mat.shape, (0, 0))": ("repeats vec's first number", REPEATED),
                "vec.as_strided(mat.shape, (0, stride), 0)": ("begins where memory begins", BEGINS),
                "vec.detach().as_strided(mat.shape, (0, stride))": ("cuts vec's gradient off", FLOWS),
                "vec.as_strided(mat.shape, mat.stride())": ("takes vec's strides for the matrix's", REPEATED),
            },
        ),
        *instead_of(
            "(mat * repeated).sum(dim=1)",
            {
                "(mat * repeated).sum(dim=0)": ("adds up each column", "an output belongs to a row: add up along it"),
                "(mat + repeated).sum(dim=1)": ("adds where it should multiply", "entries are multiplied first"),
                "(mat.detach() * repeated).sum(dim=1)": ("cuts the matrix's gradient off", FLOWS),
                "(mat * repeated).sum(dim=1) / len(vec)": ("takes the mean", "the products are added up"),
                "(mat.flip(1) * repeated).sum(dim=1)": (
                    "reads rows backwards",
                    "entry j of a row meets entry j of vec",
                ),
            },
        ),
    ],
)
test_mv = also_called(test_as_strided_mv)
test_mv2 = test_as_strided_mv.part("transposed in memory")


def mm_cases(generator: torch.Generator) -> list[Case]:
    """Three sizes in several orders, squares, a row times a column, a column times a row."""

    def product(label: str, i: int, j: int, k: int) -> list[Case]:
        return in_all_layouts(label, draw(generator, i, j), draw(generator, j, k))

    return [
        *product("2 by 3 times 3 by 4", 2, 3, 4),
        *product("5 by 2 times 2 by 3", 5, 2, 3),
        *product("squares", 3, 3, 3),
        *product("a row times a column", 1, 4, 1),
        *product("a column times a row", 3, 1, 2),
        *in_all_layouts("whole numbers", whole(generator, 2, 4), whole(generator, 4, 3)),
    ]


OF_A, OF_B = "matA has no axis k: there its stride is 0", "matB has no axis i: there its stride is 0"

test_as_strided_mm = exercise(
    reference=products.as_strided_mm,
    cases=mm_cases,
    observe=strided,
    accepts=[
        lambda matA, matB: matA @ matB,
        lambda matA, matB: torch.stack([products.as_strided_mv(matA, column) for column in matB.T], dim=1),
    ],
    mistakes=[
        *instead_of(
            "(*matA.stride(), 0)",
            {
                "(matA.shape[1], 1, 0)": ("works matA's strides out from its shape", ASK_STRIDES),
                "(matA.stride(0), 1, 0)": ("takes the stride along matA's rows for 1", ASK_STRIDES),
                "(*matA.stride()[::-1], 0)": ("transposes matA", "axis i is matA's first: (stride_i, stride_j, 0)"),
                "(0, *matA.stride())": ("puts matA's new axis first", OF_A),
            },
        ),
        *instead_of(
            "(0, *matB.stride())",
            {
                "(0, matB.shape[1], 1)": ("works matB's strides out from its shape", ASK_STRIDES),
                "(0, matB.stride(0), 1)": ("takes the stride along matB's rows for 1", ASK_STRIDES),
                "(0, *matB.stride()[::-1])": ("transposes matB", "axis j is matB's first: (0, stride_j, stride_k)"),
                "(*matB.stride(), 0)": ("puts matB's new axis last", OF_B),
            },
        ),
        *instead_of(
            "matA.as_strided(block, (*matA.stride(), 0))",
            {
                "matA.as_strided(block, (*matA.stride(), 0), 0)": ("begins where matA's memory begins", BEGINS),
                "matA.detach().as_strided(block, (*matA.stride(), 0))": ("cuts matA's gradient off", FLOWS),
            },
        ),
        *instead_of(
            "matB.as_strided(block, (0, *matB.stride()))",
            {
                "matB.as_strided(block, (0, *matB.stride()), 0)": ("begins where matB's memory begins", BEGINS),
                "matB.detach().as_strided(block, (0, *matB.stride()))": ("cuts matB's gradient off", FLOWS),
            },
        ),
        *instead_of(
            "(of_A * of_B).sum(dim=1)",
            {
                "(of_A * of_B).sum(dim=2)": ("adds up over k", "j is what both share: add up over it"),
                "(of_A * of_B).sum(dim=0)": ("adds up over i", "j is what both share: add up over it"),
                "(of_A * of_B).sum(dim=1) / matA.shape[1]": ("takes the mean", "the products are added up"),
                "(of_A + of_B).sum(dim=1)": ("adds where it should multiply", "entries are multiplied first"),
            },
        ),
    ],
)
test_mm = also_called(test_as_strided_mm)
test_mm2 = test_as_strided_mm.part("transposed in memory")
