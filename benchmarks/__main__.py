"""`python -m benchmarks`."""

import os

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # read when torch loads: its profiler tells of every start and stop

from benchmarks.harness.cli import build_app

if __name__ == "__main__":
    build_app()(prog_name="python -m benchmarks")
