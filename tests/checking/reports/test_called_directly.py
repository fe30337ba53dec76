"""A test called from a script, from pytest and in a notebook's kernel gives the same verdict in the same words."""

import re
import subprocess
import sys
import textwrap

import pytest

from arena_lib.course.content.stubs import NOT_STARTED

MASK = "scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(DIAGONAL), -torch.inf)"
BODIES = {
    "passed": f"return {MASK.replace('DIAGONAL', '1')}",
    "failed": f"return {MASK.replace('DIAGONAL', '0')}",
    "not started": NOT_STARTED,
    "raised": "return scores.undefined",
}


def source(body: str) -> str:
    return textwrap.dedent(f"""
        import torch
        from arena_lib.tests import transformer_from_scratch as tests

        def causal_mask(scores):
            {body}
        """)


CALL = "tests.test_causal_mask(causal_mask)"


def run(*command, folder) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def from_script(body, folder) -> str:
    (folder / "mine.py").write_text(source(body) + CALL)
    return run("mine.py", folder=folder)


def from_pytest(body, folder) -> str:
    (folder / "test_mine.py").write_text(source(body) + f"def test_mine():\n    {CALL}\n")
    return run("-m", "pytest", "-q", "-s", "-rN", "-p", "no:cacheprovider", "--tb=short", "test_mine.py", folder=folder)


def from_notebook(body, folder) -> str:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source(body) + CALL)])
    NotebookClient(notebook, allow_errors=True, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = notebook.cells[0].outputs
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    errors = ["\n".join(output.traceback) for output in outputs if output.output_type == "error"]
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join([*texts, *errors]))


def verdict(text: str, status: str) -> list[str]:
    """The lines that a learner reads of the verdict, without what each place puts around them."""
    if status == "raised":
        return sorted({line.split("E   ")[-1].strip() for line in text.splitlines() if "has no attribute" in line})
    lines = [line.removeprefix("E   ").removeprefix("arena_lib.errors.CheckFailed: ") for line in text.splitlines()]
    first = next(i for i, line in enumerate(lines) if "1.1/causal_mask" in line)
    last = first if status == "passed" else next(i for i, line in enumerate(lines) if "For a hint:" in line)
    return [line.strip() for line in lines[first : last + 1]]


@pytest.mark.parametrize("status", ["failed", "raised"])
def test_a_script_ends_in_a_short_traceback_through_the_learners_own_lines(status, tmp_path):
    lines = from_script(BODIES[status], tmp_path).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    files = [line.partition(", line")[0].strip() for line in lines if line.startswith("  File ")]
    assert files == [f'File "{tmp_path / "mine.py"}"'] * (2 if status == "raised" else 1)
    if status == "failed":
        assert lines[3] == "✗ 1.1/causal_mask does not pass yet"
    else:
        assert lines[-2] == "AttributeError: 'Tensor' object has no attribute 'undefined'"
        assert lines[-1] == "The call was causal_mask(attn_scores=a float32 tensor of shape (2, 3, 5, 5))"


@pytest.mark.parametrize("status", BODIES)
def test_the_verdict_reads_the_same_everywhere(status, tmp_path, monkeypatch):
    monkeypatch.setenv("ARENA_HOME", str(tmp_path / "home"))
    texts = [call(BODIES[status], tmp_path) for call in (from_script, from_pytest, from_notebook)]
    verdicts = [verdict(text, status) for text in texts]
    assert verdicts[0]
    assert verdicts[1] == verdicts[0]
    assert verdicts[2] == verdicts[0]
    assert not (tmp_path / "home").exists(), "only a notebook that loads the extension records"
