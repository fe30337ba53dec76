import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.saes.truth import MultinomialProbe


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
