"""The overview: a row for each latent, one script that is named by its hash."""

import base64
import hashlib
import re

import pytest
from tests.saes.dashboards.hostile import HOSTILE, Reading, make_dashboard

from arena_lib.errors import ConfigError
from arena_lib.saes.dashboards.overview import SCRIPT, render_overview


def test_each_latent_has_a_row_with_what_sorting_needs():
    page = render_overview([make_dashboard(7), make_dashboard(12)], linked={12})
    reading = Reading(page)
    assert [value for name, value in reading.attributes if name == "data-latent"] == ["7", "12"]
    assert [value for name, value in reading.attributes if name == "data-share"] == ["0.017", "0.017"]
    assert [value for name, value in reading.attributes if name == "href"] == ["latent_12.html"]
    assert reading.tags.count("tr") == 3


def test_its_own_script_is_the_only_one_that_may_run():
    page = render_overview([make_dashboard()], title="</title><script>window.acted = 1</script>")
    reading = Reading(page)
    assert reading.tags.count("script") == 1
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert script == SCRIPT
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = next(value for name, value in reading.attributes if name == "content" and "default-src" in value)
    assert f"script-src 'sha256-{digest}';" in policy
    assert not any(name.startswith("on") for name, _ in reading.attributes)
    for text in HOSTILE[:4]:
        assert text in reading.text


def test_the_script_makes_no_html_of_texts():
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(", SCRIPT)


def test_no_latents_are_refused():
    with pytest.raises(ConfigError, match="at least one latent"):
        render_overview([])
