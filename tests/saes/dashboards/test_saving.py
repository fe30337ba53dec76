"""Pages as files."""

import re

import pytest
from tests.saes.dashboards.hostile import make_dashboard

from arena_lib.errors import ConfigError, DiskError
from arena_lib.saes.dashboards.page import render_latent
from arena_lib.saes.dashboards.saving import save_dashboard, save_dashboards


def test_a_folder_has_an_overview_and_pages_that_lead_to_each_other(tmp_path):
    index = save_dashboards([make_dashboard(7), make_dashboard(3)], tmp_path / "new" / "folder", title="Some")
    folder = tmp_path / "new" / "folder"
    assert index == folder / "index.html"
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "latent_3.html", "latent_7.html"]
    for path in folder.iterdir():
        for target in re.findall(r'href="([^"]+)"', path.read_text(encoding="utf-8")):
            assert (folder / target).is_file()
    assert 'href="latent_3.html"' in (folder / "latent_7.html").read_text(encoding="utf-8")


def test_one_page_is_a_file(tmp_path):
    path = save_dashboard(make_dashboard(), tmp_path / "one.html")
    assert path.read_text(encoding="utf-8") == render_latent(make_dashboard())


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DiskError, match=r"the page must be written to .*Choose a folder"):
        save_dashboard(make_dashboard(), tmp_path / "file" / "page.html")
    with pytest.raises(ConfigError, match="there must be a latent to show"):
        save_dashboards([], tmp_path)
