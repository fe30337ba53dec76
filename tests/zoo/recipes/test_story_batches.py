"""Batches of Storyworld rows in stages."""

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.storyworld import make_rows, vocabulary
from arena_lib.storyworld.lexicon import TRAIN_NAMES
from arena_lib.zoo.recipes.story_batches import SHARD, Stage, StoryBatches

GENERATOR = torch.Generator()
STAGES = (
    Stage(mixture={"repetition": 1.0}, seq=8, n_shards=2, longest=5),
    Stage(mixture={"indirect_object": 1.0}, seq=16, answers_every=3),
)


def make_batches(seed: int = 3) -> StoryBatches:
    return StoryBatches(batch_tokens=40, seed=seed, stages=STAGES)


def test_a_shard_is_dealt_out_in_order_and_then_the_next() -> None:
    batches = make_batches()
    dealt = [batches(GENERATOR) for _ in range(SHARD + 1)]
    assert all(batch.tokens.shape == (5, 8) and batch.mask is None for batch in dealt)
    shards = [
        torch.from_numpy(make_rows(5 * SHARD, 8, seed=3 * 10**9 + idx, mixture={"repetition": 1.0}, longest=5))
        for idx in (0, 1)
    ]
    assert torch.equal(torch.cat([batch.tokens for batch in dealt[:SHARD]]), shards[0])
    assert torch.equal(dealt[SHARD].tokens, shards[1][:5])


def test_stages_follow_each_other() -> None:
    batches = make_batches()
    assert [batches.find_stage(idx) for idx in (0, 1, 2, 50)] == [STAGES[0], STAGES[0], STAGES[1], STAGES[1]]
    batches.load_state_dict({"position": 2 * SHARD})
    assert batches(GENERATOR).tokens.shape == (2, 16)


def test_a_run_goes_on_with_the_same_rows() -> None:
    batches = make_batches()
    for _ in range(7):
        batches(GENERATOR)
    again = make_batches()
    again.load_state_dict(batches.state_dict())
    assert torch.equal(again(GENERATOR).tokens, batches(GENERATOR).tokens)
    assert batches.state_dict() == {"position": 8}


def test_in_every_third_batch_of_such_a_stage_only_answers_about_people_count() -> None:
    batches = StoryBatches(batch_tokens=800, seed=0, stages=STAGES)
    batches.load_state_dict({"position": 2 * SHARD})
    dealt = [batches(GENERATOR) for _ in range(6)]
    assert [batch.mask is not None for batch in dealt] == [False, False, True, False, False, True]
    names = {vocabulary()[name] for name in TRAIN_NAMES}
    marked = [int(token) for batch in dealt if batch.mask is not None for token in batch.tokens[batch.mask]]
    assert all(token in names for token in marked)


def test_a_batch_without_answers_about_people_counts_all() -> None:
    batches = make_batches()
    batches.load_state_dict({"position": 2 * SHARD})
    masks = [batches(GENERATOR).mask for _ in range(SHARD)]
    assert 0 < sum(mask is not None for mask in masks) < SHARD // 3
    assert all(mask[:, 1:].any() for mask in masks if mask is not None)


def test_another_seed_gives_other_rows() -> None:
    assert not torch.equal(make_batches(0)(GENERATOR).tokens, make_batches(1)(GENERATOR).tokens)


def test_stages_must_end_with_one_that_does_not() -> None:
    endless, short = STAGES[1], STAGES[0]
    for stages in ((), (short,), (endless, endless)):
        with pytest.raises(ConfigError, match="the last stage, and no other, must have n_shards=None"):
            StoryBatches(batch_tokens=40, seed=0, stages=stages)


def test_a_batch_must_hold_a_row() -> None:
    with pytest.raises(ConfigError, match="must hold a row of 16 tokens: got 15"):
        StoryBatches(batch_tokens=15, seed=0, stages=STAGES)
