"""`arena docs`: the built site of the checkout, served to this machine; one message where there is none."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import arena_lib
from arena_lib.cli.authors.docs import find_site
from arena_lib.cli.support.output import UsageError


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout with the site's sources, which this package seems to come from."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").touch()
    monkeypatch.setattr(arena_lib, "__file__", str(tmp_path / "src" / "arena_lib" / "__init__.py"))
    return tmp_path


def test_outside_a_checkout_it_says_so(arena, tmp_path, monkeypatch):
    monkeypatch.setattr(arena_lib, "__file__", str(tmp_path / "site-packages" / "arena_lib" / "__init__.py"))
    done = arena("docs")
    assert done.code == 2
    assert "arena docs must run from a checkout, which has the site's sources" in done.err


def test_a_site_that_isnt_built_is_a_message_with_the_command(arena, checkout):
    done = arena("docs", "--json")
    assert (done.code, done.json["kind"]) == (2, "UsageError")
    assert done.json["error"].endswith("Run there: nox -s site")


def test_a_taken_port_is_a_message(arena, checkout):
    import socket

    (checkout / "output" / "site").mkdir(parents=True)
    (checkout / "output" / "site" / "index.html").write_text("home")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = arena("docs", "--port", taken.getsockname()[1])
    assert done.code == 2
    assert "--port must be free" in done.err


def test_the_folder_must_have_a_home_page(tmp_path):
    with pytest.raises(UsageError, match="must be built first"):
        find_site(tmp_path)


def test_it_serves_the_pages_until_it_is_stopped(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").touch()
    (tmp_path / "output" / "site").mkdir(parents=True)
    (tmp_path / "output" / "site" / "index.html").write_text("the home page")
    place = tmp_path / "src" / "arena_lib" / "__init__.py"
    code = f"import arena_lib; arena_lib.__file__ = {str(place)!r}\nfrom arena_lib.cli import main\nmain()"
    command = [sys.executable, "-u", "-c", code, "docs", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            record = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")
            assert record["folder"] == str(tmp_path / "output" / "site")
            assert urllib.request.urlopen(record["url"]).read() == b"the home page"
        finally:
            server.terminate()
