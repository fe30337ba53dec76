"""Absorption: on a toy whose truth is known, with SAEs that were set by hand and one that was trained."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.analysis.directions.absorption import (
    AbsorptionConfig,
    compute_absorption,
    find_main_latents,
    make_hierarchy,
)
from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig

P_CHILDREN = torch.tensor([0.2, 0.02])


@pytest.fixture(scope="module")
def features():
    """Parent, two children, and two that have nothing to do with them."""
    hierarchy = make_hierarchy(6000, 0.3, P_CHILDREN, make_generator(0))
    return torch.cat([hierarchy, torch.rand(6000, 2, generator=make_generator(1)) < 0.2], dim=1)


DIRECTIONS = torch.eye(5)


def test_a_child_never_holds_without_its_parent(features):
    parent, first, second = features[:, :3].T
    assert not (first & ~parent).any()
    assert not (first & second).any()
    assert parent.float().mean().item() == pytest.approx(0.3, abs=0.03)
    for child, share in ((first, 0.2), (second, 0.02)):
        assert (child.sum() / parent.sum()).item() == pytest.approx(share, abs=0.04)
    again = make_hierarchy(6000, 0.3, P_CHILDREN, make_generator(0))
    assert torch.equal(again, features[:, :3])
    with pytest.raises(ConfigError, match="sum to 1 at most"):
        make_hierarchy(10, 0.3, torch.tensor([0.6, 0.6]), make_generator(0))


def test_an_honest_sae_has_absorbed_nothing(features):
    found = compute_absorption(features.float(), features[:, 0], DIRECTIONS, DIRECTIONS[0])
    assert found.main_latents == [0]
    assert (found.n_missed, found.n_absorbed, found.rate) == (0, 0, 0.0)


def test_latents_that_carry_their_parent_along_are_found(features):
    latents = features.float().clone()
    latents[:, 0] = (features[:, 0] & ~features[:, 1] & ~features[:, 2]).float()
    W_dec = DIRECTIONS.clone()
    W_dec[1:3, 0] = 1.0
    first, second = int(features[:, 1].sum()), int(features[:, 2].sum())
    found = compute_absorption(latents, features[:, 0], W_dec, DIRECTIONS[0], AbsorptionConfig(most_latents=1))
    assert found.absorbers == {1: first, 2: second}
    assert found.n_missed == found.n_absorbed == first + second
    assert found.n_tokens == int(features[:, 0].sum())
    assert found.rate == (first + second) / found.n_tokens
    # The more frequent child raises F1 by more than 0.03, so it counts as a part of a feature that was split.
    split = compute_absorption(latents, features[:, 0], W_dec, DIRECTIONS[0])
    assert split.main_latents == [0, 1]
    assert split.absorbers == {2: second}


def test_a_miss_that_no_latent_makes_up_for_isnt_absorption(features):
    latents = features.float().clone()
    latents[:, 0] = (features[:, 0] & ~features[:, 1]).float()
    found = compute_absorption(latents, features[:, 0], DIRECTIONS, DIRECTIONS[0], AbsorptionConfig(most_latents=1))
    assert found.n_missed == int(features[:, 1].sum())
    assert found.n_absorbed == 0
    W_dec = DIRECTIONS.clone()
    W_dec[1, 0] = 0.3  # in the right direction, but too little of it
    weak = compute_absorption(latents, features[:, 0], W_dec, DIRECTIONS[0], AbsorptionConfig(most_latents=1))
    assert weak.n_absorbed == 0
    easier = AbsorptionConfig(most_latents=1, min_share=0.2)
    assert compute_absorption(latents, features[:, 0], W_dec, DIRECTIONS[0], easier).n_absorbed == weak.n_missed


def test_training_for_sparsity_absorbs():
    """A latent for the parent and one for the child would do; one for "both" and one for "the parent alone" cost less."""
    generator = make_generator(0)
    directions = torch.linalg.qr(torch.randn(12, 12, generator=generator))[0][:4]

    def draw(n):
        hierarchy = make_hierarchy(n, 0.3, torch.tensor([0.25]), generator)
        features = torch.cat([hierarchy, torch.rand(n, 2, generator=generator) < 0.2], dim=1)
        return features, features.float() @ directions

    sae = ReLUSAE(ReLUSAEConfig(d_in=12, d_sae=4, l1_coef=0.03), make_generator(0))
    optimizer = torch.optim.Adam(sae.parameters(), lr=1e-2)
    for _ in range(700):
        loss = sae.compute_loss(draw(256)[1]).total
        optimizer.zero_grad()
        loss.backward()
        sae.before_step()
        optimizer.step()
        sae.after_step()
    features, acts = draw(3000)
    latents = sae.encode(acts).detach()
    found = compute_absorption(
        latents, features[:, 0], sae.W_dec.detach(), directions[0], AbsorptionConfig(most_latents=1)
    )
    assert found.n_absorbed == int(features[:, 1].sum()) > 0
    (absorber,) = found.absorbers
    both = (directions[0] + directions[1]) / 2**0.5
    direction = sae.W_dec[absorber].detach()
    assert (direction @ both / direction.norm()).item() > 0.97


def test_main_latents_grow_as_long_as_they_gain():
    labels = torch.tensor([True] * 8 + [False] * 8)
    latents = torch.zeros(16, 4)
    latents[0:4, 1] = 1.0
    latents[4:7, 3] = 2.0
    latents[[0, 8], 0] = 1.0
    assert find_main_latents(latents, labels) == [1, 3]
    assert find_main_latents(latents, labels, AbsorptionConfig(most_latents=1)) == [1]
    assert find_main_latents(latents, labels, AbsorptionConfig(min_gain=0.5)) == [1]


def test_what_cannot_work_is_refused(features, without_types):
    latents, labels = features.float(), features[:, 0]
    with pytest.raises(ShapeError, match="one label for each of 6000 tokens"):
        compute_absorption(latents, labels[1:], DIRECTIONS, DIRECTIONS[0])
    with pytest.raises(ShapeError, match=r"W_dec must have a row for each of 5 latents"):
        compute_absorption(latents, labels, DIRECTIONS[1:], DIRECTIONS[0])
    with pytest.raises(ConfigError, match="hold on some tokens and not on others: got 0 of 6000"):
        compute_absorption(latents, labels & False, DIRECTIONS, DIRECTIONS[0])
    with pytest.raises(ConfigError, match="a latent must be active where the feature holds"):
        compute_absorption(0 * latents, labels, DIRECTIONS, DIRECTIONS[0])
    with pytest.raises(ConfigError, match="min_share must be above 0"):
        AbsorptionConfig(min_share=0.0)
    with pytest.raises(ConfigError, match="most_latents must be at least 1"):
        AbsorptionConfig(most_latents=0)
