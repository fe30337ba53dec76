import importlib
import pydoc
import subprocess
import sys

import pytest

import arena_lib


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_naming_a_subpackage_loads_it_and_nothing_before():
    code = """
import sys, arena_lib
print({"interp", "tests", "transformer", "zoo"} <= set(dir(arena_lib)), "torch" in sys.modules)
print(arena_lib.zoo.__name__, "arena_lib.interp" in sys.modules)
import arena_lib.interp
print({"heads", "patching", "probes"} <= set(dir(arena_lib.interp)), "torch" in sys.modules)
print(arena_lib.interp.heads.__name__, "torch" in sys.modules)
"""
    assert run(code) == ["True", "False", "arena_lib.zoo", "False", "True", "False", "arena_lib.interp.heads", "True"]


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'arena_lib' has no attribute 'interpp'"):
        _ = arena_lib.interpp
    assert not hasattr(arena_lib, "__main__")


@pytest.mark.parametrize(
    ("name", "parts"), [("arena_lib", {"interp", "tests", "zoo"}), ("arena_lib.interp", {"heads", "patching"})]
)
def test_help_shows_what_is_there(name, parts):
    text = pydoc.plain(pydoc.render_doc(importlib.import_module(name)))
    contents = text.partition("PACKAGE CONTENTS")[2].split()
    assert parts <= set(contents)


def test_a_module_of_the_folder_loads_and_its_error_goes_on(tmp_path, monkeypatch):
    package = tmp_path / "ondemand"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from arena_lib.core.subpackages import load_on_demand\n__getattr__, __dir__ = load_on_demand(__name__)\n"
    )
    (package / "good.py").write_text("ANSWER = 42\n")
    (package / "broken.py").write_text("import no_such_module_anywhere\n")
    (package / "_hidden.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    ondemand = importlib.import_module("ondemand")
    assert {"good", "broken"} <= set(dir(ondemand))
    assert "_hidden" not in dir(ondemand)
    assert not hasattr(ondemand, "_hidden")
    assert ondemand.good.ANSWER == 42
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        _ = ondemand.broken
