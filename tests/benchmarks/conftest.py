"""Records and rows made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from benchmarks.harness.record import Calibration, Record, Row, Spread

MACHINE = {"cpu": "Some CPU", "n_cores": 2, "n_threads": 2, "memory": 64, "gpu": None, "system": "Linux-6"}


def _make_row(**changes: Any) -> Row:
    """A measured row: ours takes 3 ms, the peer 1.5 times as long."""
    ratio = changes.pop("ratio", (1.5, 1.4, 1.6))
    return Row(
        **{
            "path": "forward",
            "case": "batch",
            "peer": "huggingface",
            "device": "cpu",
            "dtype": "float32",
            "size": "cpu",
            "environment": "main",
            "status": "measured",
            "n_pairs": 10,
            "peer_version": "transformers 5.0",
            "ours": Spread(0.003, 0.0028, 0.0033),
            "theirs": Spread(0.0045, 0.0042, 0.005),
            "ratio": None if ratio is None else Spread(*ratio),
            "cpu_ours": 0.004,
            "cpu_theirs": 0.005,
            "difference": 1e-6,
            **changes,
        }
    )


def _make_bare_row(status: str, **changes: Any) -> Row:
    """A row that was not timed."""
    nothing = {"ratio": None, "ours": None, "theirs": None, "cpu_ours": None, "cpu_theirs": None, "n_pairs": 0}
    return _make_row(**{"status": status, **nothing, "difference": None, **changes})


def _make_record(*rows: Row, **changes: Any) -> Record:
    """A whole quiet run of these rows."""
    machine = {**MACHINE, **changes.pop("machine", {})}
    options = {
        "size": "cpu",
        "device": "cpu",
        "names": ["forward"],
        "environment": "main",
        **changes.pop("options", {}),
    }
    software = {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.0", **changes.pop("software", {})}
    calibration = {
        "before": Calibration({"float32": 150e9}, 40e9),
        "after": Calibration({"float32": 145e9}, 41e9),
    }
    return Record(
        **{
            "machine": machine,
            "software": software,
            "options": options,
            "commit": "0123456789abcdef",
            "started": "2026-01-02T03:04:05+00:00",
            "calibration": calibration,
            "is_complete": True,
            "rows": list(rows),
            **changes,
        }
    )


@pytest.fixture
def make_row() -> Callable[..., Row]:
    return _make_row


@pytest.fixture
def make_bare_row() -> Callable[..., Row]:
    return _make_bare_row


@pytest.fixture
def make_record() -> Callable[..., Record]:
    return _make_record
