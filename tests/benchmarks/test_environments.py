"""The pins of the two environments."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "constraints.txt").is_file(), reason="the files of a checkout are not here")
OLDER = {"transformer-lens": "3.9.0", "nnsight": "0.3.7"}
"""What the second environment is for: versions that peers need and we don't."""


def read_pins(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in pins}


def test_environments_differ_in_what_peers_need_alone():
    main, peers = read_pins("constraints.txt"), read_pins("constraints-peers.txt")
    assert {name: peers[name] for name in peers if peers[name] != main.get(name, peers[name])} == OLDER
    assert peers["torch"] == "2.13.0"


def test_the_second_environment_has_the_peers():
    assert {"transformer-lens", "sae-lens", "dictionary-learning", "eai-sparsify"} <= set(
        read_pins("constraints-peers.txt")
    )


def test_the_second_environment_has_what_our_package_needs():
    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=\[]", requirement)[0]).lower() for requirement in required}
    assert names <= set(read_pins("constraints-peers.txt"))


def test_a_torchvision_for_another_torch_is_kept_out():
    assert "torchvision" not in read_pins("constraints-peers.txt")
