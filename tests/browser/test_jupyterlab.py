"""A started notebook in JupyterLab, as a learner sees it: figures, verdicts, a hint, both themes. Pictures are kept."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from arena_lib.course.authoring.drawing import open_browser
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.stubs import exercise_text
from arena_lib.course.workspace import start

pytest.importorskip("playwright", reason="comes with the session `nox -s browser`")
pytestmark = pytest.mark.browser

PICTURES = Path("output/browser").resolve()
NAME = "1.1_transformer_from_scratch.ipynb"
MASK = "1.1/causal_mask"
WAIT = 120_000
"""Milliseconds that a step may take: a kernel loads torch, and machines of CI are slow."""
KEPT_CELLS = ("setup", "about-causal_mask", "exercise-causal_mask")
HARMLESS = ("favicon", "/api/me", "ERR_UNKNOWN_URL_SCHEME attachment:")
"""Console errors that are JupyterLab's own affair: it asks for `attachment:NAME` before it puts the picture there."""


@pytest.fixture
def notebook(tmp_path) -> Path:
    """Section 1.1 as `arena start` writes it, cut to its figures and one exercise that hides the present too."""
    section = load_catalog().section("1.1")
    path = start(section, tmp_path / "work", scale="tiny")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["cells"] = [cell for cell in content["cells"] if cell["id"] in KEPT_CELLS or "attachments" in cell]
    right = exercise_text(section, load_catalog().exercise(MASK), is_solution=True)
    assert right.count("diagonal=1") == 1
    for cell in content["cells"]:
        if cell["id"] == "exercise-causal_mask":
            cell["source"] = right.replace("diagonal=1", "diagonal=0") + "\n\ntests.test_causal_mask(causal_mask)"
    hint = {"cell_type": "code", "id": "hint", "metadata": {}, "outputs": [], "execution_count": None}
    content["cells"].append(hint | {"source": "%arena hint causal_mask"})
    solved = {"cell_type": "code", "id": "solved", "metadata": {}, "outputs": [], "execution_count": None}
    content["cells"].append(solved | {"source": right + "\n\ntests.test_causal_mask(causal_mask)"})
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def lab(notebook, tmp_path):
    """The address of a JupyterLab that serves the notebook's folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    home = {name: str(tmp_path / name.lower()) for name in ("ARENA_HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    home |= {"JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"), "IPYTHONDIR": str(tmp_path / "ipython")}
    options = ["--no-browser", "--allow-root", f"--port={port}", f"--IdentityProvider.token={token}"]
    options += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=notebook.parent,
            env=os.environ | home,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server)
            yield f"http://127.0.0.1:{port}/lab/tree/{NAME}?token={token}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_for(address: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + WAIT / 1000
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.3)
        else:
            return
    pytest.fail("JupyterLab must answer: it didn't")


def run_cell(page, at: int):
    """Runs a cell by its place, and gives it back once it has ended."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(at)
    cell.scroll_into_view_if_needed()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    cell.locator(".jp-InputPrompt").filter(has_text="[*]").wait_for(state="hidden", timeout=WAIT)
    page.wait_for_function(
        "cell => /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').textContent)",
        arg=cell.element_handle(),
        timeout=WAIT,
    )
    return cell


def set_theme(page, name: str) -> None:
    """Chooses a theme from the menu."""
    page.get_by_role("menuitem", name="Settings", exact=True).first.click()
    page.get_by_text("Theme", exact=True).first.hover()
    page.get_by_text(name, exact=True).first.click()
    is_light = "true" if name == "JupyterLab Light" else "false"
    page.wait_for_selector(f"body[data-jp-theme-light='{is_light}']", state="attached", timeout=WAIT)


def test_a_started_notebook_in_jupyterlab(lab, notebook):
    PICTURES.mkdir(parents=True, exist_ok=True)
    kinds = [cell["id"] for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]
    n_figures = sum("attachments" in cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"])
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        errors: list[str] = []
        page.on(
            "console",
            lambda message: (
                errors.append(f"{message.text} {message.location['url']}") if message.type == "error" else None
            ),
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(lab)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=WAIT)
        figures = page.locator(".jp-Notebook .jp-RenderedMarkdown img")
        page.wait_for_function(
            "n => document.querySelectorAll('.jp-Notebook .jp-RenderedMarkdown img').length === n",
            arg=n_figures,
            timeout=WAIT,
        )
        for i in range(n_figures):
            figures.nth(i).scroll_into_view_if_needed()
            page.wait_for_function("image => image.complete", arg=figures.nth(i).element_handle(), timeout=WAIT)
            assert figures.nth(i).evaluate("image => image.naturalWidth") > 0
        page.screenshot(path=PICTURES / "figures.png")

        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=WAIT)
        run_cell(page, kinds.index("setup"))
        failing = run_cell(page, kinds.index("exercise-causal_mask")).locator(".jp-OutputArea")
        text = failing.inner_text()
        assert f"✗ {MASK} does not pass yet" in text
        assert text.count("hides the present too") == 1
        assert f"%arena hint {MASK}" in text
        hint = run_cell(page, kinds.index("hint")).locator(".jp-OutputArea")
        assert f"{MASK}, hint 1 of 3" in hint.inner_text()
        passing = run_cell(page, kinds.index("solved")).locator(".jp-OutputArea")
        assert f"✓ {MASK} passed" in passing.inner_text()
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            set_theme(page, theme)
            failing.scroll_into_view_if_needed()
            page.screenshot(path=PICTURES / f"verdicts_{theme.split()[-1].lower()}.png")
            ink, paper = failing.locator("b").first.evaluate(
                "b => [getComputedStyle(b).color, getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor]"
            )
            assert abs(lightness(ink) - lightness(paper)) > 120, f"{theme}: {ink} on {paper}"
    assert [text for text in errors if not any(part in text for part in HARMLESS)] == []


def lightness(colour: str) -> float:
    """From 0 to 255, of a colour as a browser writes it: `rgb(1, 2, 3)` or `rgba(1, 2, 3, 0.9)`."""
    channels = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return sum(channels) / 3
