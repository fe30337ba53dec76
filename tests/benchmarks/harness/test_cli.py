"""The command as it is typed; what it measures are toys."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from benchmarks.harness import cli
from benchmarks.harness.cli import benchmarks, describe_row, exit_code, summarise
from benchmarks.harness.record import Record, RecordError, Row, Spread, read_record
from click.testing import CliRunner

ROOT = Path(__file__).parents[3]


@pytest.fixture
def known(toys, monkeypatch):
    """The benchmarks there are, by name; no CUDA."""
    found = {name: toys.benchmark(name=name) for name in ("backward", "forward")}
    monkeypatch.setattr(cli, "find_benchmarks", lambda: found)
    monkeypatch.setattr(cli, "make_tools", lambda device: toys.tools())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return found


@pytest.fixture
def bench(known, tmp_path, monkeypatch):
    """Runs `python -m benchmarks` with these words; gives code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        result = CliRunner().invoke(benchmarks, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def report(monkeypatch):
    """What stands in for the module behind the verb `report`; it writes down its calls."""
    calls = []
    module = SimpleNamespace(
        calls=calls,
        show_report=lambda *words, **options: calls.append((words, options)),
        update_readme=calls.append,
        find_results=lambda: [Path("stored.json")],
    )
    monkeypatch.setitem(sys.modules, "benchmarks.harness.report", module)
    return module


@pytest.fixture
def comparing(monkeypatch):
    """The same for `compare`."""
    module = SimpleNamespace(compare_files=None)
    monkeypatch.setitem(sys.modules, "benchmarks.harness.comparing", module)
    return module


def raiser(error):
    def run(*_, **__):
        raise error

    return run


def test_a_run_prints_its_rows_and_keeps_its_record(bench, tmp_path):
    code, out, _ = bench("run", "--size", "tiny", "--json", "new/run.json")
    assert code == 0
    assert out.splitlines() == [
        "backward only float32, rival: agrees within 0.12",
        "forward only float32, rival: agrees within 0.12",
        "2 rows: 2 in agreement.",
        "The record is in new/run.json.",
    ]
    record = read_record(tmp_path / "new/run.json")
    assert record.is_complete
    assert record.options == {
        "size": "tiny",
        "device": "cpu",
        "names": ["backward", "forward"],
        "environment": "main",
        "strict": False,
    }
    assert record.machine["gpu"] is None
    assert record.software["torch"] == torch.__version__
    assert record.started.endswith("+00:00")
    assert record.commit


def test_the_peers_environment_leaves_out_what_the_main_one_measures(bench):
    assert bench("run", "forward", "--environment", "peers")[:2] == (0, "0 rows: none.\n")


def test_without_a_size_it_is_the_devices_and_without_a_file_none_is_written(bench, tmp_path):
    code, out, _ = bench("run", "forward")
    assert (code, out.splitlines()[-1]) == (0, "1 row: 1 measured.")
    assert "forward only float32, rival: 2.00x as fast (2.00 to 2.00 in 4 pairs)" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["foward"], "no benchmark is called 'foward'. Did you mean 'forward'"),
        (["--device", "tpu"], "--device must be auto or cpu or cuda: got 'tpu'"),
        (["--device", "cuda"], "the device must be in this machine: got 'cuda'"),
        (["--size", "huge"], "--size must be tiny or cpu or gpu: got 'huge'"),
        (["--size", "gpu"], "--size on cpu must be tiny or cpu: got 'gpu'"),
        (["--environment", "third"], "--environment must be main or peers: got 'third'"),
        (["--json", "/proc/nowhere/run.json"], "the record must be a file that can be written"),
    ],
)
def test_a_wrong_use_says_what_fits(bench, toys, words, message):
    code, out, err = bench("run", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert toys.clock.log == []


@pytest.mark.parametrize(("size", "chosen"), [(None, "gpu"), ("tiny", "tiny"), ("cpu", "cpu"), ("gpu", "gpu")])
def test_on_cuda_every_size_fits_and_its_own_is_the_default(known, monkeypatch, size, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    job = cli._make_job([], "auto", size, "main", strict=False)
    assert (job.device, job.size, job.pins) == (torch.device("cuda"), chosen, None)
    assert cli._make_job([], "cpu", None, "main", strict=False).device == torch.device("cpu")


def test_strict_takes_the_pins_of_the_environment(known):
    assert cli._make_job([], "cpu", "tiny", "main", strict=True).pins["torch"] == "2.13.0"
    assert cli._make_job([], "cpu", "tiny", "peers", strict=True).pins["transformer-lens"].startswith("3.")


def test_a_disagreement_makes_the_exit_code_one(bench, known, toys, tmp_path):
    known["forward"] = toys.benchmark(toys.workload(peers={"rival": toys.rival(result=5.0)}), name="forward")
    code, out, _ = bench("run", "--json", "run.json")
    assert code == 1
    assert "forward only float32, rival: failed: disagrees: 1.0 is not 5.0" in out
    assert [row.status for row in read_record(tmp_path / "run.json").rows] == ["measured", "failed"]


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--strict"], 1)])
def test_a_skipped_peer_makes_it_one_where_the_run_is_strict(bench, known, toys, words, code):
    workload = toys.workload(peers={"rival": raiser(ModuleNotFoundError("No module named 'rival'"))})
    known["forward"] = toys.benchmark(workload, name="forward")
    assert bench("run", "forward", *words)[0] == code


def test_ctrl_c_keeps_the_record(bench, known, toys, tmp_path):
    workload = toys.workload(peers={"rival": toys.rival(before=raiser(KeyboardInterrupt()))})
    known["forward"] = toys.benchmark(workload, name="forward")
    code, out, _ = bench("run", "--json", "run.json")
    assert code == 130
    assert out.splitlines()[-3:] == [
        "Stopped: rows that were finished are kept.",
        "1 row: 1 measured.",
        "The record is in run.json.",
    ]
    record = read_record(tmp_path / "run.json")
    assert ([row.path for row in record.rows], record.is_complete) == (["backward"], False)


ROW = Row("toy", "only", "rival", "cpu", "float32", "cpu", "main", "skipped", reason="no GPU")


def record_of(*statuses, **fields):
    rows = [Row("toy", "only", "rival", "cpu", "float32", "cpu", "main", status) for status in statuses]
    return Record(machine={}, software={}, options={}, commit="", started="", rows=rows, **fields)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (record_of("measured", "agrees", "skipped", is_complete=True), 0),
        (record_of("measured", "failed", is_complete=True), 1),
        (record_of("measured", "failed"), 130),
        (record_of(is_complete=True), 0),
    ],
)
def test_exit_codes(record, code):
    assert exit_code(record) == code


def test_a_row_in_one_line():
    assert describe_row(ROW) == "toy only float32, rival: skipped: no GPU"
    ROW_TIMED = Row(*ROW.key, "measured", ratio=Spread(1.234, 1.1, 1.456), n_pairs=30)
    assert describe_row(ROW_TIMED).endswith("1.23x as fast (1.10 to 1.46 in 30 pairs)")


def test_a_summary_says_what_was_noisy():
    record = record_of("measured", "skipped", "measured", is_complete=True, is_noisy=True)
    lines = summarise(record, None).splitlines()
    assert lines[0] == "3 rows: 2 measured, 1 skipped."
    assert lines[1].startswith("Noisy: ")
    assert len(lines) == 2


def test_report_takes_the_files_and_what_is_asked_for(bench, report):
    assert bench("report", "a.json", "b.json", "--html", "page.html")[0] == 0
    assert bench("report", "--markdown", "--readme")[0] == 0
    both, stored = [Path("a.json"), Path("b.json")], [Path("stored.json")]
    assert report.calls == [
        ((both, Path("page.html")), {"is_markdown": False}),
        ((stored, None), {"is_markdown": True}),
        stored,
    ]


def test_a_report_of_nothing_says_so(bench, report):
    report.find_results = list
    code, _, err = bench("report")
    assert (code, "a report must be of records" in err) == (2, True)


@pytest.mark.parametrize("code", [0, 1])
def test_compare_exits_with_what_it_finds(bench, comparing, code):
    calls = []
    comparing.compare_files = lambda old, new: calls.append((old, new)) or code
    assert bench("compare", "old.json", "new.json")[0] == code
    assert calls == [(Path("old.json"), Path("new.json"))]


def test_a_file_that_is_no_record_is_a_wrong_use(bench, report, comparing):
    error = RecordError("a record must have schema 1: x.json has 7. Run the benchmarks again.")
    report.show_report = comparing.compare_files = raiser(error)
    for words in (["report", "x.json"], ["compare", "x.json", "y.json"]):
        code, _, err = bench(*words)
        assert (code, str(error) in err) == (2, True)


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "python -m benchmarks" in done.stdout
    for name in ("run", "report", "compare"):
        assert name in done.stdout
