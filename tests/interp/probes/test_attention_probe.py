import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.probes import (
    AttentionProbe,
    AttentionProbeConfig,
    LRProbe,
    attention_probe_forward,
    compute_accuracy,
)


def test_two_tokens_by_hand():
    x = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    W_q = torch.log(torch.tensor([[3.0], [1.0]]))
    logits, pattern = attention_probe_forward(
        x, mask, W_q, torch.tensor([[4.0], [8.0]]), torch.tensor([0.5]), scale=1.0
    )
    torch.testing.assert_close(pattern, torch.tensor([[[0.75], [0.25], [0.0]]]))
    torch.testing.assert_close(logits, torch.tensor([0.75 * 4 + 0.25 * 2 * 8 + 0.5]))


def make_texts(n_texts, generator, seq=9, d_model=6):
    """Noise, a text of its own length; in the positive texts one token, anywhere, says so, in the others its opposite."""
    acts = torch.randn(n_texts, seq, d_model, generator=generator)
    lengths = torch.randint(4, seq + 1, (n_texts,), generator=generator)
    mask = torch.arange(seq) < lengths[:, None]
    labels = torch.randint(0, 2, (n_texts,), generator=generator)
    place = (torch.rand(n_texts, generator=generator) * lengths).long()
    rows = torch.arange(n_texts)
    acts[rows, place, 0] = 6.0
    acts[rows, place, 1] = 4.0 * (2 * labels - 1)
    acts[~mask] = 50.0
    return acts, mask, labels, place


def test_it_finds_the_one_token_that_tells():
    generator = torch.Generator().manual_seed(0)
    acts, mask, labels, _ = make_texts(300, generator)
    probe = AttentionProbe.from_data(acts, mask, labels, generator, AttentionProbeConfig(n_heads=1))
    acts, mask, labels, place = make_texts(200, generator)
    is_right = (probe(acts, mask) > 0.5) == (labels == 1)
    assert is_right.double().mean() > 0.95
    # One kind of telling token suffices: where it is missing, the other class is left.
    is_found = probe.attention(acts, mask)[:, :, 0].argmax(dim=1) == place
    assert max(is_found[labels == label].double().mean() for label in (0, 1)) > 0.95
    lengths = mask.sum(dim=1)
    last = acts[torch.arange(200), lengths - 1]
    assert compute_accuracy(LRProbe.from_data(last[:100], labels[:100]), last[100:], labels[100:]) < 0.8


def test_padding_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    acts, mask, labels, _ = make_texts(60, generator)
    config = AttentionProbeConfig(n_steps=20)
    probe = AttentionProbe.from_data(acts, mask, labels, torch.Generator().manual_seed(1), config)
    other = acts.clone()
    other[~mask] = -3.0
    again = AttentionProbe.from_data(other, mask.long(), labels, torch.Generator().manual_seed(1), config)
    torch.testing.assert_close(again(other, mask), probe(acts, mask))
    assert not any(parameter.requires_grad for parameter in probe.parameters())


def test_the_generator_draws_the_first_weights():
    acts, mask, labels, _ = make_texts(40, torch.Generator().manual_seed(0))
    config = AttentionProbeConfig(n_steps=3)
    one, same, other = (
        AttentionProbe.from_data(acts, mask, labels, torch.Generator().manual_seed(seed), config) for seed in (5, 5, 6)
    )
    assert torch.equal(one.W_q, same.W_q)
    assert not torch.equal(one.W_q, other.W_q)


def test_bad_input():
    acts, mask, labels, _ = make_texts(8, torch.Generator().manual_seed(0))
    generator = torch.Generator()
    with pytest.raises(ConfigError, match="fitted on both classes"):
        AttentionProbe.from_data(acts, mask, torch.ones(8), generator)
    with pytest.raises(ShapeError, match="one label"):
        AttentionProbe.from_data(acts, mask, labels[:5], generator)
    with pytest.raises(ShapeError, match=r"got \(8, 9, 6\) and \(8, 4\)"):
        AttentionProbe.from_data(acts, mask[:, :4], labels, generator)
    mask[3] = False
    with pytest.raises(ShapeError, match="at least one token: got none in text 3"):
        AttentionProbe.from_data(acts, mask, labels, generator)
    for name, value in (("n_heads", 0), ("n_steps", -1), ("learning_rate", 0.0)):
        with pytest.raises(ConfigError, match=f"{name} must be positive: got {value}"):
            AttentionProbeConfig(**{name: value})
