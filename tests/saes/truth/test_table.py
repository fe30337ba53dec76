import pytest
import torch
import torch.nn.functional as F

from arena_lib import zoo
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.saes.truth import TruthBench, TruthConfig, collect_activations, make_worlds

ASKED = ("full stop", "mood word", "after a name", "kind of text")
SMALL = TruthConfig(n_fit=120, n_validation=80, n_test=100, seq=64, min_positive=60, variables=ASKED)
HOOK, NEURONS = "blocks.1.hook_resid_post", "blocks.1.mlp.hook_post"


@pytest.fixture(scope="module")
def model():
    return zoo.load("tiny-llama")


@pytest.fixture(scope="module")
def bench(model):
    return TruthBench(model, HOOK, neuron_hook=NEURONS, config=SMALL, worlds=make_worlds(SMALL))


def test_labels_are_kept_only_where_a_probe_reads_them(bench):
    assert {"full stop", "kind of text: holders"} <= {label.name for label in bench.labels}
    assert all(label.probe_f1 >= 0.8 and label.n_positive >= 60 for label in bench.labels)
    assert all(label.probe_f1 < 0.8 or label.n_positive < 60 for label in bench.left_out if "kind" not in label.name)
    assert bench.left_out


def test_features_that_are_the_truth_score_one_and_noise_does_not(bench):
    generator = torch.Generator().manual_seed(0)

    def oracle(acts):  # the embedding of a full stop is the only thing that these features know
        stop = bench._acts[bench.validation][HOOK][bench.validation.rows.tokens.flatten() == STOP].mean(0)
        near = F.cosine_similarity(acts, stop[None], dim=-1) - 0.6
        return torch.stack([near, torch.rand(len(acts), generator=generator)], dim=1)

    STOP = int(bench.validation.rows.tokens[bench.validation.variables["full stop"].values == 0][0])
    scores = {score.label.name: score for score in bench.score(oracle)}
    assert scores["full stop"].f1 > 0.9
    assert scores["full stop"].detectors[0].feature == 0
    noise = bench.score(lambda acts: torch.rand(len(acts), 3, generator=generator))
    assert all(score.f1 <= score.label.always_f1 + 0.05 for score in noise)


def harmonic_mean(precision, recall):
    return 2 * precision * recall / max(precision + recall, 1e-9)


def test_baselines_read_their_own_hook(bench):
    for featurise, hook in bench.baselines.values():
        scores = bench.score(featurise, of=hook)
        for entry in scores:
            assert entry.f1 == pytest.approx(harmonic_mean(entry.precision, entry.recall), abs=1e-5)
            assert entry.union_f1 == pytest.approx(harmonic_mean(entry.union_precision, entry.union_recall), abs=1e-5)
        assert len(scores) == len(bench.labels)
        assert all(0 <= score.f1 <= 1 and score.union_f1 >= 0 for score in scores)


def test_scoring_keeps_no_gradients(bench):
    weight, seen = torch.ones((), requires_grad=True), []

    def featurise(acts):
        seen.append(acts[:, :4] * weight)
        return seen[-1]

    bench.score(featurise)
    assert not any(features.requires_grad for features in seen)


def test_nothing_there_is_refused(model):
    with pytest.raises(ConfigError, match="at least one label must be linearly there"):
        TruthBench(model, HOOK, config=TruthConfig(n_fit=4, n_validation=2, n_test=3, seq=32, variables=("full stop",)))


def test_an_unknown_hook_is_named(model):
    with pytest.raises(UnknownNameError):
        collect_activations(model, torch.zeros(1, 4, dtype=torch.int64), ["blocks.1.hook_resid"])
