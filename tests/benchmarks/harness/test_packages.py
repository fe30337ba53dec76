"""Who is installed, and who should be."""

from importlib import metadata

import pytest
from benchmarks.harness.packages import find_versions, name_version, read_pins, should_be_here, why_missing

from arena_lib.errors import ConfigError


@pytest.fixture
def installed(monkeypatch):
    """Two distributions and no more."""

    def version(name):
        try:
            return {"one-lens": "4.3.0", "early": "2.0rc1"}[name]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("one-lens", None),
        ("one-lens>=4", None),
        ("one-lens<4", "needs one-lens<4: 4.3.0 is installed"),
        ("other", "needs other, which is not installed"),
        ("other>=1", "needs other>=1, which is not installed"),
        ("early>=1.9", None),
    ],
)
def test_a_distribution_must_be_here_in_a_version_that_fits(installed, requirement, reason):
    assert why_missing(requirement) == reason


def test_versions_are_of_those_that_are_here_each_once(installed):
    assert find_versions(["one-lens<4", "other", "one-lens>=4"]) == {"one-lens": "4.3.0"}


def test_a_version_is_named_with_its_distribution(installed):
    assert name_version("one-lens>=4") == "one-lens 4.3.0"


PINS = {"one-lens": "4.3.0", "early": "2.0rc1"}


@pytest.mark.parametrize(
    ("requirement", "should"),
    [
        (None, True),
        ("one-lens", True),
        ("One_Lens>=4", True),
        ("one-lens<4", False),
        ("other", False),
        ("early>=1", True),
    ],
)
def test_what_the_pins_meet_should_be_here(requirement, should):
    assert should_be_here(requirement, PINS) is should


def test_pins_are_read_without_comments_and_markers(tmp_path):
    (tmp_path / "constraints-peers.txt").write_text(
        "# peers\nSAE_Lens==6.1  # an SAE\ntorch==2.13.0 ; python_version > '3'\n--extra-index-url x\n\nnothing>=1\n"
    )
    assert read_pins("peers", tmp_path) == {"sae-lens": "6.1", "torch": "2.13.0"}


def test_our_own_environment_has_pins():
    assert read_pins("main")["torch"] == "2.13.0"


def test_an_environment_without_a_list_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"'main' must list its versions: .*constraints.txt is not there"):
        read_pins("main", tmp_path)
