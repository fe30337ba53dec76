"""Every picture says in words what it shows: one that doesn't is a warning with its line, which fails the build."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def check_pictures(app: Sphinx, doctree: nodes.document) -> None:
    """Warns of each picture without a text in its place."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            logger.warning(
                "a picture must say in words what it shows: got none for %s. Write them: ![words](path).",
                image.get("uri"),
                location=image,
                type="pictures",
                subtype="alt",
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("doctree-read", check_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
