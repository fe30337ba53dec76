"""The frame of a page, and contrasts that can be read."""

import re

from tests.saes.dashboards.hostile import Reading

from arena_lib.saes.dashboards.style import STYLE, make_page


def luminance(colour):
    channels = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def read_variables():
    """The colours of both schemes."""
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.S):
        variables = dict(re.findall(r"--(\w+): ([^;}]+)", block))
        yield {name: value.strip() for name, value in variables.items()}


def to_rgb(value):
    digits = value.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))


def test_text_can_be_read_on_every_shade_in_both_schemes():
    schemes = list(read_variables())
    assert len(schemes) == 2
    for scheme in schemes:
        ink, paper = to_rgb(scheme["ink"]), to_rgb(scheme["paper"])
        heat, strength = tuple(map(int, scheme["heat"].split())), float(scheme["strength"])
        for step in range(11):
            share = strength * step / 10
            shade = tuple(share * h + (1 - share) * p for h, p in zip(heat, paper, strict=True))
            assert contrast(ink, shade) >= 4.5, (scheme["paper"], step)
        for name in ("soft", "link"):
            for ground in ("paper", "card"):
                assert contrast(to_rgb(scheme[name]), to_rgb(scheme[ground])) >= 4.5, (name, ground)
        for name in ("bar", "low"):
            assert contrast(to_rgb(scheme[name]), to_rgb(scheme["card"])) >= 3, name


def test_a_title_is_text():
    reading = Reading(make_page("a </title><b>", "<p>x</p>"))
    assert "b" not in reading.tags
    assert "a </title><b>" in reading.text
