import pytest
import torch
import torch.nn.functional as F

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.distributed import DistTrainer, DistTrainingConfig, average_gradients, run_simulated, shard
from arena_lib.fundamentals.optimizers.experiments import make_mlp, make_moons


def test_parts_are_equal_in_order_and_complete():
    batch = torch.arange(24).reshape(12, 2)
    assert torch.equal(torch.cat([shard(batch, rank, 4) for rank in range(4)]), batch)
    with pytest.raises(ConfigError, match=r"got 12 examples\. Drop the last 2"):
        shard(batch, 0, 5)


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_averaged_gradients_of_parts_are_the_gradient_of_the_batch(world_size):
    points, labels = make_moons(16)
    whole = make_mlp(2, 5, 2)
    F.cross_entropy(whole(points), labels).backward()

    def part(rank):
        model = make_mlp(2, 5, 2)
        F.cross_entropy(model(shard(points, rank, world_size)), shard(labels, rank, world_size)).backward()
        average_gradients(model.parameters(), rank, world_size)
        return [param.grad for param in model.parameters()]

    for grads in run_simulated(part, [(rank,) for rank in range(world_size)]).results:
        for grad, param in zip(grads, whole.parameters(), strict=True):
            torch.testing.assert_close(grad, param.grad)


def test_several_processes_train_as_one_does():
    train_set, test_set = make_moons(200), make_moons(120, seed=1)

    def run(rank, world_size):
        config = DistTrainingConfig(n_epochs=2, batch_size=24, lr=0.3)
        trainer = DistTrainer(config, rank, world_size, make_mlp(2, 8, 2, seed=rank), train_set, test_set)
        losses = trainer.train()
        return losses, trainer.evaluate(), [param.detach() for param in trainer.model.parameters()]

    worlds = {n: run_simulated(run, [(rank, n) for rank in range(n)]).results for n in (1, 2, 3)}
    losses, accuracy, weights = worlds[1][0]
    assert len(losses) == 2 * (200 // 24)
    assert losses[-1] < losses[0]
    for results in (worlds[2], worlds[3]):
        for other_losses, other_accuracy, other_weights in results:
            assert other_losses == pytest.approx(losses, rel=1e-4)
            assert other_accuracy == pytest.approx(accuracy)
            for a, b in zip(weights, other_weights, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="got 0 and 64"):
        DistTrainingConfig(n_epochs=0)
