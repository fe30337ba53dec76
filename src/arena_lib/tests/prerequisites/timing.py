"""Judges of counting operations and bytes, and of the time that follows from them."""

import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.fundamentals.puzzles import timing
from arena_lib.tests.prerequisites.tensors import calls

__test__ = False


def sizes_cases(generator: torch.Generator) -> list[Case]:
    """Different sizes, a matrix times a vector, half precision, large ones."""
    sizes = {
        "different sizes": (2, 3, 5),
        "a matrix times a vector": (7, 4, 1),
        "in half precision": (3, 5, 2, 2),
        "large matrices": (1000, 2000, 500, 4),
        "an inner axis of one": (4, 1, 6),
    }
    return calls(sizes)


test_matmul_cost = exercise(
    reference=timing.matmul_cost,
    cases=sizes_cases,
    accepts=[
        lambda n_rows, n_inner, n_columns, bytes_per_number=4: (
            n_rows * n_columns * (n_inner + n_inner),
            bytes_per_number * (n_inner * (n_rows + n_columns) + n_rows * n_columns),
        ),
        lambda *sizes: (
            2 * sizes[0] * sizes[1] * sizes[2],
            sum(a * b for a, b in (sizes[0:2], sizes[1:3], sizes[0:3:2])) * (sizes[3] if len(sizes) > 3 else 4),
        ),
    ],
    mistakes=[
        *instead_of(
            "2 * n_rows * n_inner * n_columns",
            {
                "n_rows * n_inner * n_columns": (
                    "forgets the additions",
                    "each multiplication comes with an addition",
                ),
                "2 * n_rows * n_columns": ("forgets the inner axis", "each entry takes n_inner of both"),
                "(2 * n_inner - 1) * n_rows * n_columns": (
                    "leaves the first addition out",
                    "the first addition, to 0, counts too",
                ),
            },
        ),
        *instead_of(
            "n_rows * n_inner + n_inner * n_columns + n_rows * n_columns",
            {
                "n_rows * n_inner + n_inner * n_columns": ("does not write the result", "the result is written once"),
                "2 * n_rows * n_inner * n_columns": (
                    "reads a number for every operation",
                    "each number is read once, and used many times",
                ),
            },
        ),
        *instead_of(
            "n_numbers * bytes_per_number",
            {
                "n_numbers": ("counts numbers, not bytes", "each number has bytes_per_number bytes"),
                "n_numbers * 4": ("always takes four bytes", "bytes_per_number is an argument"),
                "n_numbers * 8 * bytes_per_number": ("counts bits", "bytes are asked for"),
            },
        ),
    ],
)


def amounts_cases(generator: torch.Generator) -> list[Case]:
    """Bound by operations, by bytes, by the call itself; nothing to do."""
    machine = timing.Machine(operations_per_second=2e9, bytes_per_second=5e8, seconds_per_call=1e-6)
    slow = timing.Machine(operations_per_second=100.0, bytes_per_second=10.0, seconds_per_call=0.5)
    return calls(
        {
            "the operations take longer": (8e9, 1e6, machine),
            "the bytes take longer": (1e6, 3e9, machine),
            "both alike": (400.0, 40.0, slow),
            "the call takes longest": (10, 2, slow),
            "nothing to do": (0, 0, machine),
        }
    )


test_estimate_seconds = exercise(
    reference=timing.estimate_seconds,
    cases=amounts_cases,
    accepts=[
        lambda n_operations, n_bytes, machine: (
            machine.seconds_per_call
            + max(n_operations / machine.operations_per_second, n_bytes / machine.bytes_per_second)
        ),
        lambda n_operations, n_bytes, machine: max(
            machine.seconds_per_call + n_operations / machine.operations_per_second,
            machine.seconds_per_call + n_bytes / machine.bytes_per_second,
        ),
    ],
    mistakes=[
        *instead_of(
            "max(n_operations / machine.operations_per_second, n_bytes / machine.bytes_per_second)",
            {
                "n_operations / machine.operations_per_second + n_bytes / machine.bytes_per_second": (
                    "adds both times",
                    "they pass at the same time: the longer one counts",
                ),
                "min(n_operations / machine.operations_per_second, n_bytes / machine.bytes_per_second)": (
                    "takes the shorter time",
                    "the computation waits for the longer one",
                ),
                "n_operations / machine.operations_per_second": ("forgets the bytes", "numbers have to be moved too"),
                "n_bytes / machine.bytes_per_second": ("forgets the operations", "numbers have to be computed too"),
                "max(n_operations // machine.operations_per_second, n_bytes // machine.bytes_per_second)": (
                    "rounds down to whole seconds",
                    "most calls take far less than a second: /, not //",
                ),
                "max(n_operations * machine.operations_per_second, n_bytes * machine.bytes_per_second)": (
                    "multiplies with the speeds",
                    "time is an amount over a speed: divide",
                ),
                "(n_operations / machine.operations_per_second if n_operations > n_bytes"
                " else n_bytes / machine.bytes_per_second)": (
                    "compares the amounts, not the times",
                    "operations and bytes have different speeds: compare the seconds",
                ),
                "max(n_operations / machine.bytes_per_second, n_bytes / machine.operations_per_second)": (
                    "swaps the two speeds",
                    "operations go with operations_per_second, bytes with bytes_per_second",
                ),
            },
        ),
        *instead_of(
            "slower + machine.seconds_per_call",
            {
                "slower": ("forgets the call itself", "every call takes seconds_per_call besides"),
                "max(slower, machine.seconds_per_call)": ("takes the call for a third race", "it is added"),
            },
        ),
    ],
)
