"""Hand-drawn figures as notebooks show them: every SVG is drawn as a PNG of twice its size.

    python -m arena_lib.course.authoring.drawing chapters

JupyterLab shows no SVG attachments, so chapters name the PNG; the SVG stays the source. A PNG carries
the SHA-256 of the SVG that it was drawn from, so that a test can tell whether it is current.

Raises:  ArenaError without Playwright, or without a Chromium on the PATH.
Source:  PNG, third edition, section 5.3 (chunks) and 11.3.3.2 (tEXt).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from arena_lib.errors import ArenaError

SCALE = 2
"""Pixels of the PNG for each of the SVG, so that text is sharp on fine screens."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A browser that opens local pages and makes no connections of its own."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORD = b"SVG-SHA-256"


@contextmanager
def open_browser() -> Iterator[Any]:
    """A headless Chromium of this machine, with an empty profile, driven by Playwright."""
    if importlib.util.find_spec("playwright") is None:
        raise ArenaError(
            "a browser is driven by the package playwright: it is not installed. Run: pip install playwright"
        )
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise ArenaError(
            f"one of {', '.join(BROWSERS)} must be on the PATH: got none. Install one; on Debian: apt-get install chromium"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(BROWSER_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def is_current(png: Path, svg: Path) -> bool:
    """Whether the PNG was drawn from the SVG as it is now."""
    return png.is_file() and _chunk(_KEYWORD + b"\0" + _digest(svg)) in png.read_bytes()


def draw(folder: Path) -> list[Path]:
    """Draws every SVG below the folder whose PNG isn't current; returns the PNGs that it wrote."""
    stale = [svg for svg in sorted(folder.rglob("*.svg")) if not is_current(svg.with_suffix(".png"), svg)]
    if not stale:
        return []
    with open_browser() as browser:
        page = browser.new_page(device_scale_factor=SCALE)
        return [_draw_one(page, svg) for svg in stale]


def _draw_one(page: Any, svg: Path) -> Path:
    page.set_content(f"<style>svg {{ display: block }}</style>{svg.read_text(encoding='utf-8')}")
    image = page.locator("svg").first.screenshot()
    header_ends = len(_SIGNATURE) + 25  # the header chunk has 13 bytes, its length, name and checksum 12
    png = svg.with_suffix(".png")
    png.write_bytes(image[:header_ends] + _chunk(_KEYWORD + b"\0" + _digest(svg)) + image[header_ends:])
    return png


def _chunk(data: bytes) -> bytes:
    """A tEXt chunk: length, name, data, checksum of name and data."""
    body = b"tEXt" + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _digest(svg: Path) -> bytes:
    """Of its text, whatever line endings a checkout has."""
    return hashlib.sha256(svg.read_text(encoding="utf-8").encode()).hexdigest().encode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws what isn't current in a folder; 0 if all went well, 3 without a browser."""
    parser = argparse.ArgumentParser(
        prog="python -m arena_lib.course.authoring.drawing", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="where SVGs are looked for, such as chapters")
    try:
        drawn = draw(parser.parse_args(arguments).folder)
    except ArenaError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.write("".join(f"{png}\n" for png in drawn) or "Every PNG is current.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
