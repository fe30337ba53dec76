import ast

import pytest

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.imports import builds_on, fallback_imports, format_imports, setup_imports


def test_imports_are_grouped_merged_and_sorted():
    statements = [
        "from torch import nn", "from torch import Tensor", "import torch", "import os.path", "import torch",
        "from arena_lib.errors import ConfigError", "from math import pi", "import torch.nn.functional as F",
        "from torch import nn as net", "from torch import LONG_NAME",
    ]  # fmt: skip
    assert format_imports(statements) == (
        "import os.path\nfrom math import pi\n\n"
        "import torch\nimport torch.nn.functional as F\nfrom torch import LONG_NAME, Tensor, nn, nn as net\n\n"
        "from arena_lib.errors import ConfigError"
    )


def test_long_imports_are_wrapped():
    names = [f"a_rather_long_name_{n}" for n in range(5)]
    text = format_imports([f"from torch import {', '.join(names)}"])
    assert text == "from torch import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def test_dependencies_follow_from_the_references(course):
    section = load_catalog([course]).section("7.2")
    plus, scaler, find_largest = section.exercises
    assert builds_on(section, scaler) == [plus]
    assert builds_on(section, plus) == builds_on(section, find_largest) == []
    assert fallback_imports([plus]) == "from littlecourse.library import plus"
    assert fallback_imports([scaler, plus]) == "from littlecourse.library import Scaler, plus"


def test_exploratory_exercise_builds_on_what_its_cell_calls(course):
    file = course.chapters / "7_small" / "7.2_little.py"
    file.write_text(file.read_text().replace("max(numbers)", "plus(max(numbers))"))
    section = load_catalog([course]).section("7.2")
    assert builds_on(section, section.exercises[2]) == [section.exercises[0]]


def test_exercise_that_comes_later_is_imported(course):
    file = course.chapters / "7_small" / "7.2_little.py"
    text = file.read_text()
    first, second = text.index('# %% exercise="plus"'), text.index('# %% exercise="scaler"')
    third = text.index("# %% result")
    file.write_text(text[:first] + text[second:third] + text[first:second] + text[third:])
    section = load_catalog([course], strict=True).section("7.2")
    assert "from littlecourse.library import Settings, helper, plus" in setup_imports(section)
    assert builds_on(section, section.exercises[0]) == []


@pytest.mark.parametrize("section", load_catalog().sections, ids=lambda section: section.id)
def test_imports_of_ours_bring_each_name_once(section):
    names = [
        alias.asname or alias.name
        for node in ast.parse(setup_imports(section)).body
        for alias in getattr(node, "names", [])
    ]
    assert len(names) == len(set(names))
