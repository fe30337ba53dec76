"""A latent's page: everything is on it, nothing of a text acts, nothing comes from elsewhere."""

import re
from dataclasses import replace

import pytest
from tests.saes.dashboards.hostile import HOSTILE, Reading, make_dashboard

from arena_lib.saes.dashboards.escaping import show_text
from arena_lib.saes.dashboards.page import draw_histogram, render_latent, render_text

HARMLESS = set(
    "html head meta title style body p h1 h2 h3 ul ol li b div svg rect table tbody tr td span bdi details summary".split()  # noqa: SIM905
)


def test_a_page_has_no_script_and_loads_nothing_whatever_its_texts_are():
    page = render_latent(make_dashboard())
    reading = Reading(page)
    assert set(reading.tags) <= HARMLESS
    names = {name for name, _ in reading.attributes}
    assert not any(name.startswith("on") for name in names)
    assert names & {"src", "href", "srcset", "action", "data", "xlink:href"} == set()
    policy = next(value for name, value in reading.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert re.findall(r"https?://|url\(|@import", page) == []
    page.encode()


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_every_text_is_seen_as_it_is(text):
    reading = Reading(render_latent(make_dashboard(text=text)))
    shown = Reading(f"<p>{show_text(text)}</p>").text
    assert reading.text.count(shown) >= 5  # name of a fact, fact, explanation, two examples


def test_numbers_are_said():
    reading = Reading(render_latent(make_dashboard(), linked={3}, index="index.html"))
    for said in ("Latent 7", "1.7% of 1,000 tokens", "cosine 0.500", "cosine -0.250", "Part 1 of 2: 17 to 17"):
        assert said in reading.text
    assert ("href", "latent_3.html") in reading.attributes
    assert ("href", "index.html") in reading.attributes
    assert ("href", "latent_4.html") not in reading.attributes


def test_shades_follow_activations_and_the_examples_own_token_is_framed():
    dashboard = make_dashboard()
    html = render_text(dashboard.top[0], 34.0)
    shades = [float(shade) for shade in re.findall(r"--a:([\d.]+)", html)]
    assert shades == [pytest.approx(i / 34, abs=0.006) for i in range(1, len(HOSTILE))]
    assert html.count('class="peak"') == 1
    assert Reading(html.split("<bdi")[-1].join(["<bdi", ""])).text == HOSTILE[-1]


def test_spaces_stand_before_the_shade():
    example = replace(make_dashboard().top[0], str_tokens=[" the", " ", ""], activations=[1.0, 2.0, 0.0], position=0)
    html = render_text(example, 2.0)
    assert re.findall(r"( *)<bdi[^>]*>([^<]*)</bdi>", html) == [(" ", "the"), ("", " "), ("", "")]


def test_bars_are_as_high_as_their_counts():
    svg = draw_histogram(make_dashboard())
    heights = [float(height) for height in re.findall(r'height="([\d.]+)">', svg)]
    assert heights == [100.0, 70.0]
    assert 'aria-label="Histogram of 17 activations from 0 to 3"' in svg
    assert "0 to 1: 10 tokens" in svg


def test_what_isnt_known_is_left_out():
    bare = replace(
        make_dashboard(),
        explanation="",
        n_active=0,
        counts=[0, 0],
        edges=[0.0, 0.5, 1.0],
        top=[],
        quantiles=[[], []],
        logits=None,
        deembeddings=None,
        decoder_neighbours=[],
        encoder_neighbours=[],
    )
    reading = Reading(render_latent(bare))
    assert "No activations above 0." in reading.text
    assert "It is active on none of these texts." in reading.text
    assert [tag for tag in reading.tags if tag == "h2"] == ["h2", "h2"]
