import math

import pytest
from benchmarks.studies.declaring import Study, Trial
from benchmarks.studies.running import find_studies, write_record
from benchmarks.studies.table import DOCUMENT, make_table, sum_up_seed

STUDY = Study(
    name="toy",
    title="Toy, Env-v0",
    env_id="Env-v0",
    settings={"lr": 0.1},
    train=None,
    threshold=10.0,
    evaluate_every=10,
    published="12 (a paper).",
    trials=(Trial("lr 1", "100", "diverged"),),
)
BY_RETURNS = Study(name="toy", title="Toy", env_id="Env-v0", settings={}, train=None, threshold=10.0, last_steps=50)


def seed(evaluations=(), episodes=(), **more):
    return {
        "n_steps": 100,
        "episodes": [list(episode) for episode in episodes],
        "evaluations": [list(pair) for pair in evaluations],
        "final_greedy": [11.0, 13.0],
        "cpu_seconds": 4.0,
        **more,
    }


def test_evaluations_say_when_it_was_solved_and_how_bad_it_became():
    one = sum_up_seed(STUDY, seed([(10, 3.0), (20, 12.0), (30, 6.0), (40, 11.0)]))
    assert (one.score, one.solved_at, one.worst_after) == (11.0, 20, 6.0)
    assert one.final_greedy == 12.0
    assert one.seconds_until_solved == 0.8


def test_a_seed_may_never_solve_it():
    one = sum_up_seed(STUDY, seed([(10, 3.0), (20, 9.9)]))
    assert (one.score, one.solved_at, one.worst_after) == (9.9, None, None)


def test_returns_of_training_count_over_twenty_episodes():
    episodes = [(step, 20.0 if step > 20 else 0.0, 1) for step in range(1, 101)]
    one = sum_up_seed(BY_RETURNS, seed(episodes=episodes))
    assert one.solved_at == 30  # ten of the last twenty
    assert one.score == 20.0
    early = [(step, 99.0, 1) for step in range(1, 101)]
    assert sum_up_seed(BY_RETURNS, seed(episodes=early)).solved_at == 20


def test_a_failure_is_the_worst_score():
    one = sum_up_seed(STUDY, {"failure": "NaN"})
    assert (one.score, one.failure) == (-math.inf, "NaN")


def test_the_table_has_a_row_and_a_part_for_each_stored_study(tmp_path):
    seeds = {str(k): seed([(10, 12.0 + k), (20, 8.0 + k)]) for k in range(4)} | {"4": {"failure": "NaN"}}
    write_record({"study": "toy", "settings": {}, "seeds": seeds}, tmp_path)
    other = Study(name="other", title="Other", env_id="Env-v0", settings={}, train=None)
    text = make_table({"toy": STUDY, "other": other}, tmp_path)
    (row,) = [line for line in text.splitlines() if line.startswith("| [Toy")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["[Toy, Env-v0](#toy)", "100", "5", "10"]
    assert cells[4].startswith("9.0 (-inf to ")
    assert cells[5:] == ["10 (4 of 5)", "2 of 5", "8.0", "4", "0.4"]
    assert "| 4 | failed: NaN |" in text
    assert "| lr 1 | 100 | diverged |" in text
    assert "Published: 12 (a paper)." in text
    assert "Declared and not run yet: `other`." in text


@pytest.mark.skipif(not DOCUMENT.exists(), reason="docs/ is not here")
def test_the_document_is_what_the_stored_figures_say():
    assert DOCUMENT.read_text(encoding="utf-8") == make_table(find_studies())
