import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError
from arena_lib.saes.truth import MultinomialProbe, collect_activations, make_labelled_rows, score


def test_the_probe_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    generator = torch.Generator().manual_seed(1)
    acts = torch.randn(600, 7, generator=generator)
    values = (acts @ torch.randn(7, 4, generator=generator) + 0.5 * torch.randn(600, 4, generator=generator)).argmax(
        1
    ) - 1
    ours = MultinomialProbe(acts, values, n_classes=3).predict(acts)
    theirs = (
        LogisticRegression(C=1e3, max_iter=500)
        .fit((acts - acts.mean(0)) / acts.std(0), values)
        .predict((acts - acts.mean(0)) / acts.std(0))
    )
    assert (ours == torch.from_numpy(theirs)).float().mean() > 0.97
    with pytest.raises(ConfigError, match="two classes or more"):
        MultinomialProbe(acts, torch.zeros(600, dtype=torch.int64), n_classes=3)


def test_rare_classes_are_read_too():
    rows = make_labelled_rows(700, 128, seed=50, variables=["mood word"])
    (moods,) = rows.variables
    hook = "blocks.1.hook_resid_post"
    acts, values = collect_activations(zoo.load("tiny-llama"), rows.tokens, [hook])[hook], moods.values.flatten()
    rarest = min(int((values == idx).sum()) for idx in range(2))
    assert rarest < len(values) / 300
    is_fitted = torch.arange(len(values)) < 80_000
    predicted = MultinomialProbe(acts[is_fitted], values[is_fitted], n_classes=2).predict(acts[~is_fitted])
    for idx in range(2):
        assert score(predicted == idx, values[~is_fitted] == idx) > 0.9  # the words themselves say it
