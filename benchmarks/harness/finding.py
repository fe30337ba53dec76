"""The benchmarks there are: one `BENCHMARK` in each module of `benchmarks/paths/`.

Raises:  UnknownNameError for a name that no benchmark has; AuthoringError for a module or a
         declaration that doesn't hold together.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from arena_lib.errors import AuthoringError, UnknownNameError
from benchmarks import paths
from benchmarks.harness.declaring import Benchmark


def find_benchmarks(package: ModuleType = paths) -> dict[str, Benchmark]:
    """By name, in alphabetical order; modules that begin with an underscore are shared by others."""
    benchmarks = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if not module.name.startswith("_"):
            benchmarks[module.name] = _read_benchmark(f"{package.__name__}.{module.name}")
    return benchmarks


def _read_benchmark(name: str) -> Benchmark:
    benchmark = getattr(importlib.import_module(name), "BENCHMARK", None)
    if not isinstance(benchmark, Benchmark):
        raise AuthoringError(f"{name} must have one BENCHMARK, a Benchmark: got {benchmark!r}. Declare it.")
    if benchmark.name != name.rpartition(".")[2]:
        raise AuthoringError(f"the BENCHMARK of {name} must have the name of its module: got {benchmark.name!r}.")
    check_declaration(benchmark)
    return benchmark


def check_declaration(benchmark: Benchmark) -> None:
    """Every name that a declaration uses must be one that it introduces: else a goal might never be checked."""
    if not benchmark.peers:
        raise AuthoringError(f"{benchmark.name} must have a peer, for there is a row for each: it has none. Add one.")
    used = {
        "case": {*benchmark.limits, *(goal.case for goal in benchmark.goals)} - set(benchmark.cases),
        "peer": {*benchmark.peer_packages, *(goal.peer for goal in benchmark.goals)} - set(benchmark.peers),
        "limit": set(benchmark.limits.values()) - {"flops", "bytes"},
    }
    for kind, unknown in used.items():
        if unknown:
            raise AuthoringError(
                f"{benchmark.name} must use only what it declares: no {kind} is called "
                f"{', '.join(sorted(unknown))}. Correct the name."
            )


def choose(names: Iterable[str], known: dict[str, Benchmark]) -> list[Benchmark]:
    """Those named, each once, in the order of `known`; all of them where none is named."""
    chosen = set(names)
    for name in sorted(chosen - set(known)):
        raise UnknownNameError("benchmark", name, known)
    return [benchmark for name, benchmark in known.items() if not chosen or name in chosen]
