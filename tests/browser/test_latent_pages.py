"""Pages about latents in a Chromium: on a wide and a narrow screen, light and dark, full of hostile texts. Pictures are kept."""

from pathlib import Path

import pytest
from tests.saes.dashboards.hostile import HOSTILE, make_dashboard

from arena_lib.course.authoring.drawing import open_browser
from arena_lib.saes.dashboards.saving import save_dashboards

pytest.importorskip("playwright", reason="comes with the session `nox -s browser`")
pytestmark = pytest.mark.browser

PICTURES = Path("output/browser").resolve()
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    dashboards = [make_dashboard(7), make_dashboard(12, text=" plain"), make_dashboard(3, text=" other")]
    return save_dashboards(dashboards, tmp_path_factory.mktemp("latents")).parent


def open_page(browser, path, width=1200, scheme="light"):
    """The page, with what it logged and what it asked for beyond itself."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    noticed: list[str] = []
    page.on("console", lambda message: noticed.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: noticed.append(str(error)))
    page.on("dialog", lambda dialog: noticed.append(dialog.message))
    page.on("request", lambda request: noticed.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    return page, noticed


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("name", ["index", "latent_7"])
def test_a_page_fits_the_screen_and_nothing_on_it_acts(folder, name, width, scheme):
    PICTURES.mkdir(parents=True, exist_ok=True)
    with open_browser() as browser:
        page, noticed = open_page(browser, folder / f"{name}.html", width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == PAPER[scheme]
        page.locator("bdi").first.hover()
        assert page.evaluate("window.acted") is None
        text = page.inner_text("body")
        for hostile in HOSTILE[:4]:
            assert hostile in text
        page.screenshot(path=PICTURES / f"{name}_{width}_{scheme}.png", full_page=True)
    assert noticed == []


def test_text_from_right_to_left_leaves_its_neighbours_in_place(folder):
    with open_browser() as browser:
        page, _ = open_page(browser, folder / "latent_7.html")
        boxes = (
            page.locator("ol.examples li")
            .first.locator(".text bdi")
            .evaluate_all(
                "all => all.map(one => { const box = one.getClientRects()[0]; return [box?.top, box?.left] })"
            )
        )
    placed = [box for box in boxes if box[0] is not None]
    assert placed == sorted(placed, key=lambda box: (round(box[0]), box[1]))


def test_the_search_finds_by_token_and_number_and_says_how_many(folder):
    with open_browser() as browser:
        page, noticed = open_page(browser, folder / "index.html")
        for query, shown in (
            ("plain", ["12"]),
            ("3 OTHER", ["3"]),
            ("", ["7", "12", "3"]),
            ("<script>", ["7"]),
            ("zz", []),
        ):
            page.fill("#query", query)
            assert page.locator("tbody tr:visible").evaluate_all("rows => rows.map(row => row.dataset.latent)") == shown
            assert page.inner_text("#shown") == f"{len(shown)} of 3 shown"
        page.fill("#query", "")
        for order in (["12", "7", "3"], ["3", "7", "12"]):
            page.click("button[data-key=latent]")
            assert page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.latent)") == order
        page.click("tbody tr:first-child a")
        assert page.inner_text("h1") == "Latent 3"
        page.click("text=All latents")
        assert page.inner_text("h1") == "Latents"
    assert [notice for notice in noticed if not notice.startswith("file:")] == []


def test_a_script_that_got_in_would_not_run(folder):
    """The page's own policy stops it."""
    page_file = folder / "latent_7.html"
    broken = folder / "broken.html"
    text = page_file.read_text(encoding="utf-8")
    broken.write_text(
        text.replace("</h1>", "</h1><script>window.acted = 1</script><img src=x onerror='window.acted = 1'>")
    )
    with open_browser() as browser:
        page, noticed = open_page(browser, broken)
        assert page.evaluate("window.acted") is None
    assert any("Content Security Policy" in notice for notice in noticed)
