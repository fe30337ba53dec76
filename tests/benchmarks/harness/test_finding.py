"""Which benchmarks there are, and which declarations hold together."""

import sys
import types
from dataclasses import replace

import pytest
from benchmarks.harness.declaring import Goal
from benchmarks.harness.finding import check_declaration, choose, find_benchmarks

from arena_lib.errors import AuthoringError, UnknownNameError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of paths; its modules are written by `write`."""
    found = types.ModuleType("toy_paths")
    found.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "toy_paths", found)
    yield found
    for name in [name for name in sys.modules if name.startswith("toy_paths.")]:
        del sys.modules[name]


def write(package, name, text):
    with open(f"{package.__path__[0]}/{name}.py", "w", encoding="utf-8") as file:
        file.write(text)


DECLARED = """
from benchmarks.harness.declaring import Benchmark
BENCHMARK = Benchmark({name!r}, "A toy", {{"only": ""}}, "runs", make=None, peers=("rival",))
"""


def test_every_module_but_shared_ones_is_a_benchmark(package):
    for name in ("zebra", "ant"):
        write(package, name, DECLARED.format(name=name))
    write(package, "_shared", "raise RuntimeError('it was imported')")
    assert list(find_benchmarks(package)) == ["ant", "zebra"]
    assert find_benchmarks(package)["ant"].name == "ant"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "toy_paths.ant must have one BENCHMARK, a Benchmark: got None"),
        ("BENCHMARK = 3", "must have one BENCHMARK, a Benchmark: got 3"),
        (DECLARED.format(name="bee"), "must have the name of its module: got 'bee'"),
        (DECLARED.format(name="ant").replace('("rival",)', "()"), "ant must have a peer"),
    ],
)
def test_a_module_that_is_none_says_so(package, text, message):
    write(package, "ant", text)
    with pytest.raises(AuthoringError, match=message):
        find_benchmarks(package)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"goals": (Goal("onyl", "rival", 1.0),)}, "no case is called onyl"),
        ({"goals": (Goal("only", "revel", 1.0),)}, "no peer is called revel"),
        ({"limits": {"onyl": "flops"}}, "no case is called onyl"),
        ({"limits": {"only": "flop"}}, "no limit is called flop"),
        ({"peer_packages": {"revel": "x"}}, "no peer is called revel"),
        ({"peers": ()}, "must have a peer"),
    ],
)
def test_a_name_that_is_not_declared_is_found_out(toys, fields, message):
    with pytest.raises(AuthoringError, match=message):
        check_declaration(replace(toys.benchmark(), **fields))


def test_a_declaration_that_uses_its_own_names_is_well(toys):
    goals = (Goal("only", "rival", 1.0),)
    check_declaration(
        toys.benchmark(goals=goals, limits={"only": "bytes"}, peer_packages={"rival": "x"}),
    )


def test_those_named_are_chosen_once_and_in_order(toys):
    known = {name: toys.benchmark(name=name) for name in ("ant", "bee", "cat")}
    assert [one.name for one in choose(["cat", "ant", "cat"], known)] == ["ant", "cat"]
    assert [one.name for one in choose([], known)] == ["ant", "bee", "cat"]


def test_an_unknown_one_offers_the_nearest(toys):
    known = {name: toys.benchmark(name=name) for name in ("forward", "generation")}
    with pytest.raises(UnknownNameError, match=r"no benchmark is called 'foward'. Did you mean 'forward'\?"):
        choose(["generation", "foward"], known)


def test_our_own_benchmarks_hold_together():
    assert {"forward", "training_step"} <= set(find_benchmarks())
