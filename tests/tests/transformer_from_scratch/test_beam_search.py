"""What learners hand in for the exercises on beam search: right in other ways, and wrong."""

import importlib

import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


def ban_by_slices(logprobs, tokens, n, tail=lambda row, n: row[len(row) - n + 1 :], fill=-torch.inf):
    logprobs = logprobs.clone()
    for row, text in zip(logprobs, tokens.tolist(), strict=True):
        for i in range(len(text) - n + 1):
            if text[i : i + n - 1] == tail(text, n):
                row[text[i + n - 1]] = fill
    return logprobs


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"tail": lambda row, n: row[-(n - 1) :]}, "bans nothing when n is 1"),
        ({"fill": -1e4}, "sets a large negative number, not -inf"),
        ({"fill": -1e9}, "sets a large negative number, not -inf"),
    ],
)
def test_a_wrong_ban_is_named(change, mistake):
    assert run(judges.test_ban_repeated_ngrams, ban_by_slices).status == "passed"
    result = run(judges.test_ban_repeated_ngrams, lambda *args: ban_by_slices(*args, **change))
    assert result.diagnosis.mistake == mistake


def filter_each_part(beams, k, cut=slice(None)):
    order = beams.logprob_sums.argsort(descending=True)[cut]
    ends = torch.tensor([int(text[-1]) == beams.eos_token_id for text in beams.tokens[order]], dtype=torch.bool)
    return beams.select(order[~ends][:k]), beams.select(order[ends][:k])


def test_k_beams_of_each_part_are_named():
    assert run(judges.test_filter_beams, lambda beams, k: filter_each_part(beams, k, slice(k))).status == "passed"
    assert run(judges.test_filter_beams, filter_each_part).diagnosis.mistake == "keeps k beams of each part"


def search(beams, n_beams, n_new, n_return=1, ngram=None, stops=lambda beams, found, n: False):
    found = []
    for _ in range(n_new):
        beams, done = beams.generate(n_beams, ngram).filter(n_beams)
        found += zip(done.logprob_sums, done.tokens.tolist(), strict=True)
        if len(beams.tokens) == 0 or stops(beams, found, n_return):
            break
    found += zip(beams.logprob_sums, beams.tokens.tolist(), strict=True)
    return sorted(found, reverse=True)[:n_return]


def test_log_probabilities_may_be_tensors():
    assert run(judges.test_beam_search, search).status == "passed"


@pytest.mark.parametrize(
    "stops",
    [
        lambda beams, found, n: len(found) >= n,
        lambda beams, found, n: len(found) >= n and min(beams.logprob_sums) <= sorted(found)[-n][0],
    ],
)
def test_a_search_that_stops_too_early_fails(stops):
    result = run(judges.test_beam_search, lambda *args: search(*args, stops=stops))
    assert result.status == "failed"
