"""The code of docs/coming_from_transformerlens.md on SAELens and circuitsvis, in the peers' environment.

That environment has no pytest: `python -m tests.interp.peers_page` runs each block, whose assertions say what must
hold. `nox -s peers` calls it.
"""

import re
import warnings
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "coming_from_transformerlens.md"
SECTION = "## With SAELens and circuitsvis"


def read_blocks(section: str = SECTION) -> list[tuple[str, str]]:
    """Title and code of each step of the page's last section."""
    steps = PAGE.read_text(encoding="utf-8").split(f"{section}\n")[1].split("\n### ")[1:]
    return [
        (step.partition("\n")[0], code) for step in steps for code in re.findall(r"```python\n(.*?)```", step, re.S)
    ]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    names: dict[str, object] = {}
    for title, code in read_blocks():
        exec(compile(code, title, "exec"), names)
