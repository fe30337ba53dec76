"""The verb `compare`."""

import pytest
from benchmarks.harness.comparing import compare_files
from benchmarks.harness.record import RecordError, write_record


@pytest.mark.parametrize(
    ("change", "code", "end"),
    [
        ({}, 0, "No regression: 1 same."),
        ({"ratio": (1.1, 1.0, 1.2)}, 1, "REGRESSION: 1 slower."),
        ({"dtype": "bfloat16"}, 2, "Nothing could be compared."),
    ],
)
def test_old_comes_first_and_the_exit_code_says_what_came_of_it(
    make_record, make_row, tmp_path, capsys, change, code, end
):
    write_record(make_record(make_row()), tmp_path / "old.json")
    write_record(make_record(make_row(**change)), tmp_path / "new.json")
    assert compare_files(tmp_path / "old.json", tmp_path / "new.json") == code
    assert capsys.readouterr().out.rstrip().splitlines()[-1].rstrip() == end


def test_a_file_of_another_schema_is_told(make_record, make_row, tmp_path):
    write_record(make_record(make_row()), tmp_path / "old.json")
    (tmp_path / "new.json").write_text('{"schema": 7}')
    with pytest.raises(RecordError, match="has 7"):
        compare_files(tmp_path / "old.json", tmp_path / "new.json")
