"""The site: Sphinx, with MyST for text and notebooks. `nox -s site` builds it; site.md says why it is made so.

Everything that a page needs lies on the site itself, so that it opens from a folder without a network.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import arena_lib  # noqa: E402

project = "arena_lib"
author = "The arena_lib authors"
copyright = "The arena_lib authors. Code: MIT. Text of the chapters: CC BY 4.0"  # noqa: A001
release = version = arena_lib.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_sitemap",
    "sphinxext.opengraph",
    "notfound.extension",
    "formulas",
    "repository_links",
    "pictures",
]
exclude_patterns = ["_build", "_ext", "_templates", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
nitpicky = True

# Text and notebooks
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # arena_lib.course.executing does it, and keeps what hasn't changed

html_math_renderer = "katex"

# Pages
html_theme = "furo"
html_title = "arena_lib"
html_baseurl = "https://arena-lib.github.io/arena_lib/"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # summaries are fetched, which a browser refuses a page that opens from a folder
html_theme_options = {"navigation_with_keys": False}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
sitemap_url_scheme = "{link}"
sitemap_excludes = ["404.html", "search.html", "genindex.html", "py-modindex.html"]
notfound_urls_prefix = "/arena_lib/"
ogp_site_url = html_baseurl
ogp_social_cards = {"enable": False}

repository = "https://github.com/arena-lib/arena_lib"
