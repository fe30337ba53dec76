"""`python -m benchmarks`."""

import os

# Read when torch loads. Its profiler tells of every start and stop, and of blocks that it didn't see come.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

from benchmarks.harness.cli import benchmarks

if __name__ == "__main__":
    benchmarks(prog_name="python -m benchmarks")
