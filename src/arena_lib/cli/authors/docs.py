"""`arena docs`: the site that `nox -s site` built in the checkout, in a browser."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click

from arena_lib.cli.support.checkout import find_checkout
from arena_lib.cli.support.output import UsageError, json_option, print_json, show, verb

ONLY_HERE = "127.0.0.1"
"""Other machines can't reach the server."""


@click.command("docs")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0 takes any that is free.")
@json_option
@verb
def docs(port: int, as_json: bool) -> None:
    """Show the course's site, in a checkout.

    `nox -s site` builds it. This serves it to this machine alone, until Ctrl-C.
    """
    folder = find_site(find_checkout("docs", "docs/conf.py", "the site's sources"))
    with _open_server(folder, port) as server:
        url = f"http://{ONLY_HERE}:{server.server_address[1]}/"
        if as_json:
            print_json({"url": url, "folder": str(folder)})
        else:
            show(f"The site is at {url}. Stop with Ctrl-C.")
        server.serve_forever()


def find_site(checkout: Path) -> Path:
    """The folder of the built site; UsageError if it isn't built."""
    folder = checkout / "output" / "site"
    if not (folder / "index.html").is_file():
        raise UsageError(f"the site must be built first: got no index.html in {folder}. Run there: nox -s site")
    return folder


class _QuietHandler(SimpleHTTPRequestHandler):
    """Files, without a line for each."""

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _open_server(folder: Path, port: int) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer((ONLY_HERE, port), partial(_QuietHandler, directory=str(folder)))
    except OSError as error:
        raise UsageError(f"--port must be free: got {port}, {error.strerror}. Name another, or 0 for any.") from error
