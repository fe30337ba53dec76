import pytest
import torch
from benchmarks.studies.truth.pool import Pool, PoolBatches

from arena_lib import zoo
from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import make_rows

READ, WRITTEN = "blocks.0.ln2.hook_normalized", "blocks.0.hook_mlp_out"


@pytest.fixture(scope="module")
def pool():
    return Pool(zoo.load("tiny-llama"), [READ], torch.from_numpy(make_rows(5, 16, seed=3)))


def test_a_pool_holds_the_models_activations_and_reads_others_when_asked(pool):
    assert set(pool.acts) == {READ}
    pool.read([READ, WRITTEN, ""])
    assert set(pool.acts) == {READ, WRITTEN}
    _, cache = pool.model.run_with_cache(pool.tokens)
    for hook in (READ, WRITTEN):
        torch.testing.assert_close(pool.acts[hook].float(), cache[hook].flatten(0, 1), atol=0.02, rtol=0.02)


def test_an_epoch_has_every_activation_once_with_its_target(pool):
    batches, generator = PoolBatches(pool, READ, WRITTEN, batch_size=20), make_generator(0)
    epoch = [batches(generator) for _ in range(4)]
    acts = torch.cat([batch.acts for batch in epoch]) / batches.scale
    target = torch.cat([batch.target for batch in epoch]) / batches.scale_out
    torch.testing.assert_close(acts.sort(0).values, pool.acts[READ].float().sort(0).values)
    places = torch.cdist(acts, pool.acts[READ].float()).argmin(1)  # where rows begin alike, any of them
    torch.testing.assert_close(target, pool.acts[WRITTEN].float()[places])
    assert batches.d_in == batches.d_out == 128
    assert not torch.equal(batches(generator).acts, epoch[0].acts)  # another order


def test_an_autoencoder_has_no_target(pool):
    batches = PoolBatches(pool, READ, "", batch_size=8)
    assert batches.d_out is None
    assert batches(make_generator(0)).target is None
    assert batches(make_generator(0)).acts.norm(dim=-1).mean() == pytest.approx(128**0.5, rel=0.2)
