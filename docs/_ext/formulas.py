"""Formulas drawn by the KaTeX that lies in `_static/katex`, on the pages that have any."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

STYLE, SCRIPTS = "katex/katex.min.css", ("katex/katex.min.js", "formulas.js")


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line: its LaTeX, which the script draws."""
    translator.body.append(f'<span class="math">{translator.encode(node.astext())}</span>')
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on lines of its own, with its number if it has one."""
    number = f'<span class="eqno">({get_node_equation_number(translator, node)})</span>' if node["number"] else ""
    identifier = f' id="{node["ids"][0]}"' if node["ids"] else ""
    tex = translator.encode(node.astext())
    translator.body.append(f'<div class="math-block"{identifier}>{number}<div class="math display">{tex}</div></div>')
    raise nodes.SkipNode


def bring_katex(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Adds style and scripts where there is a formula."""
    if doctree is not None and next(
        doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block)), None
    ):
        app.add_css_file(STYLE)
        for script in SCRIPTS:
            app.add_js_file(script)


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_block, None))
    app.connect("html-page-context", bring_katex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
