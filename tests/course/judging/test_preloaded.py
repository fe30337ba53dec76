"""What the fork server loads: one module that can't be loaded keeps none of the others from it."""

import sys

from arena_lib.course.judging.preloaded import preload


def test_a_module_that_raises_stops_no_other(tmp_path, monkeypatch):
    (tmp_path / "raises_at_import.py").write_text("1 / 0\n")
    (tmp_path / "loads_well.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    preload(["raises_at_import", "no_such_module", "loads_well"])
    assert "loads_well" in sys.modules
    assert "raises_at_import" not in sys.modules
