"""Links and anchors that work on the code's host work on the site too.

The project's own Markdown links to files. A file that is a page here becomes a link to the page; any other file or
folder of the repository a link to the code's host. What isn't there stays, and Sphinx warns of it with its line.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "guides/add_an_exercise.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "results/benchmarks.md",
}
"""Files outside `docs/` that a page includes."""
_LINK = re.compile(r"(?<!!)(\[[^\]]*\])\((?![a-z]+:|#|/)([^)\s#]+)(#[^)\s]*)?\)")
_ANCHOR = re.compile(r'^<a id="([\w-]+)"></a>$', re.MULTILINE)


def read_source(app: Sphinx, docname: str, content: list[str]) -> None:
    """A page's text before it is parsed."""
    path = app.env.doc2path(docname)
    if str(path).endswith(".md"):
        content[0] = mend(content[0], Path(path).parent, Path(path).parent, app.config.repository)


def read_include(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    """The text of a file that a page includes."""
    page = Path(app.env.doc2path(app.env.current_document.docname))  # MyST gives the page's name without its folder
    content[0] = mend(content[0], (app.srcdir / path).resolve().parent, page.parent, app.config.repository)


def mend(text: str, folder: Path, page_folder: Path, repository: str) -> str:
    """The text with each link from `folder` to a file made into one from a page in `page_folder`; no line moves."""

    def linked(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        file = (folder / target).resolve()
        if not file.exists() or not file.is_relative_to(ROOT):
            return match[0]
        place = file.relative_to(ROOT).as_posix()
        page = DOCS / PAGES[place] if place in PAGES else file
        if page.is_relative_to(DOCS) and page.is_file() and page.suffix == ".md":
            return f"{words}({Path(os.path.relpath(page, page_folder)).as_posix()}{anchor})"
        return f"{words}({repository}/blob/main/{place}{anchor})"

    return _ANCHOR.sub(r"(\1)=", _LINK.sub(linked, text))


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.add_config_value("repository", "", "env")
    app.connect("source-read", read_source)
    app.connect("include-read", read_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
