import pytest
import torch

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.fundamentals.optimizers import SGD, Adam, Schedule, SGDParamGroups
from arena_lib.fundamentals.optimizers.experiments import compute_accuracy, make_mlp, make_moons, train_for


def test_moons_are_made_by_their_seed_and_reach_into_each_other():
    points, labels = make_moons(400, noise=0.0)
    assert torch.equal(points, make_moons(400, noise=0.0)[0])
    assert not torch.equal(points, make_moons(400, noise=0.0, seed=1)[0])
    upper, lower = points[labels == 0], points[labels == 1]
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(200))
    torch.testing.assert_close((lower - torch.tensor([1.0, 0.5])).norm(dim=1), torch.ones(200))
    assert upper[:, 1].min() < lower[:, 1].max()


def test_a_network_learns_the_moons_and_the_global_random_state_stays():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    points, labels = make_moons(512)
    model = make_mlp(2, 32, 2)
    losses = train_for(model, Adam(model.parameters(), lr=0.02), points, labels, n_steps=150)
    assert torch.equal(torch.rand(3), expected)
    assert losses[0] > 0.5 > 0.1 > losses[-1]
    assert compute_accuracy(model, points, labels) > 0.97


def test_several_optimizers_and_a_schedule_take_part():
    points, labels = make_moons(64)
    model = make_mlp(2, 5, 2)
    first = SGDParamGroups([model[1].weight, model[1].bias], lr=0.4)
    before = [param.detach().clone() for param in model.parameters()]
    schedule = Schedule(first, lambda step: 1 / (1 + step))
    train_for(
        model,
        [first, SGD(model[3].parameters(), lr=0.1)],
        points,
        labels,
        n_steps=3,
        batch_size=8,
        schedules=(schedule,),
    )
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    assert first.param_groups[0]["lr"] == pytest.approx(0.1)


def test_a_loss_that_isnt_finite_stops_the_training():
    points, labels = make_moons(64)

    def run(**given):
        model = make_mlp(2, 5, 2)
        return train_for(model, SGD(model.parameters(), lr=1e30), points, labels, n_steps=20, **given)

    with pytest.raises(TrainingError, match="Lower the learning rate"):
        run()
    losses = run(may_diverge=True)
    assert len(losses) == 20
    assert not torch.isfinite(torch.tensor(losses[-1]))


@pytest.mark.parametrize("call", [lambda: make_moons(1), lambda: make_moons(9, noise=-1.0), lambda: make_mlp(0, 1, 1)])
def test_sizes_that_cannot_work_are_refused(call):
    with pytest.raises(ConfigError):
        call()
    model, (points, labels) = make_mlp(2, 5, 2), make_moons(8)
    with pytest.raises(ConfigError, match="got 0 and 64"):
        train_for(model, SGD(model.parameters(), lr=0.1), points, labels, n_steps=0)
