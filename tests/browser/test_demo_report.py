"""The demo's report on a wide and a narrow screen, light and dark. Pictures are kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from arena_lib.course.authoring.drawing import open_browser

pytest.importorskip("playwright", reason="comes with the session `nox -s browser`")
pytestmark = pytest.mark.browser

PICTURES = Path("output/browser").resolve()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.html"
    subprocess.run([sys.executable, "-m", "arena_lib", "demo", "--output", str(path)], check=True)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
def test_the_report_fits_the_screen_and_logs_nothing(report, width, scheme):
    PICTURES.mkdir(parents=True, exist_ok=True)
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        logged: list[str] = []
        page.on("console", lambda message: logged.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.goto(report.as_uri())
        page.wait_for_selector(".plotly-graph-div .main-svg")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        anchors = page.locator("nav a").evaluate_all("links => links.map(a => a.getAttribute('href').slice(1))")
        assert len(anchors) >= 10
        assert [anchor for anchor in anchors if page.locator(f"[id='{anchor}']").count() != 1] == []
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]
        page.screenshot(path=PICTURES / f"demo_{width}_{scheme}.png", full_page=True)
    assert logged == []
