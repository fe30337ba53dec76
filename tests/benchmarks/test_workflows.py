"""The workflow files, and the script in one of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the files of a checkout are not here")
NAMES = ("tests", "benchmarks")
MAIN_JOBS = {"tests": "cpu", "benchmarks": "gpu"}
"""The job that runs on the Python of our constraints; others of the workflow run beside it."""
COMPARER = """#!/bin/sh
echo "compared $4 with $5"
exit $(cat "$5")
"""


def read(name):
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


def steps(name):
    return read(name)["jobs"][MAIN_JOBS[name]]["steps"]


def script(name, step):
    (run,) = [s["run"] for s in steps(name) if s.get("name") == step]
    return run


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_by_major_version_and_no_host_is_named(name):
    for step in [step for job in read(name)["jobs"].values() for step in job["steps"]]:
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
    assert "://" not in (FOLDER / f"{name}.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_python_is_the_one_that_we_test(name):
    (setup,) = [step for step in steps(name) if step.get("uses", "").startswith("actions/setup-python@")]
    assert setup["with"]["python-version"] == "3.11"


def test_other_pythons_and_systems_run_the_tests_too():
    matrix = read("tests")["jobs"]["versions"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_the_tests_run_the_readmes_command():
    assert script("tests", "Install and test") in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


def test_the_benchmarks_run_on_demand_and_weekly_on_a_gpu():
    workflow = read("benchmarks")
    triggers = workflow[True]  # YAML reads `on` so
    assert set(triggers) == {"workflow_dispatch", "schedule"}
    assert triggers["schedule"][0]["cron"].split()[-1] != "*"
    assert workflow["jobs"]["gpu"]["runs-on"] == ["self-hosted", "linux", "gpu"]
    for step in ("Measure", "Measure beside older libraries"):
        assert script("benchmarks", step).endswith("-- $NAMES --device cuda --size gpu")


@pytest.fixture
def compare(tmp_path):
    """Runs the step `Compare` where comparing exits with these codes; its exit code, output and summary."""
    if not shutil.which("bash"):
        pytest.skip("no bash here")

    def run(**codes):
        for folder in ("benchmarks/results", "output/benchmarks", ".venv/bin"):
            (tmp_path / folder).mkdir(parents=True)
        python = tmp_path / ".venv/bin/python"
        python.write_text(COMPARER)
        python.chmod(0o755)
        for environment, code in codes.items():
            (tmp_path / f"benchmarks/results/gpu-{environment}.json").write_text("{}")
            (tmp_path / f"output/benchmarks/{environment}.json").write_text(str(code))
        (tmp_path / "step").write_text(script("benchmarks", "Compare"))
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "step"],
            cwd=tmp_path,
            env={"GITHUB_STEP_SUMMARY": "summary", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, (tmp_path / "summary").read_text()

    return run


def test_a_quiet_comparison_passes_and_is_in_the_summary(compare):
    code, out, summary = compare(main=0, peers=0)
    assert (code, out) == (0, "")
    for environment in ("main", "peers"):
        line = f"compared benchmarks/results/gpu-{environment}.json with output/benchmarks/{environment}.json"
        assert f"```\n{line}\n```\n" in summary


@pytest.mark.parametrize("codes", [{"main": 1, "peers": 0}, {"main": 0, "peers": 1}, {"main": 1, "peers": 2}])
def test_a_regression_in_either_environment_fails_after_both_are_compared(compare, codes):
    code, _, summary = compare(**codes)
    assert code == 1
    assert summary.count("compared ") == 2


def test_nothing_comparable_is_a_warning(compare):
    code, out, summary = compare(main=2, peers=0)
    assert code == 0
    assert out == "::warning::main: nothing could be compared with benchmarks/results/gpu-main.json\n"
    assert summary.count("compared ") == 2


def test_no_stored_result_is_said(compare):
    code, _, summary = compare(peers=0)
    assert code == 0
    assert summary.startswith("No result is stored in benchmarks/results/gpu-main.json yet.\n```\ncompared ")
