import pytest
import torch
import torch.nn.functional as F
from torch import nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.images import load_fashion_mnist
from arena_lib.fundamentals.resnets import SimpleMLP, SimpleMLPTrainingArgs, compute_accuracy, train, training_step


def test_a_step_is_one_of_gradient_descent():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    images, labels = torch.randn(7, 3, 2, 2), torch.arange(7) % 5
    loss = F.cross_entropy(model(images), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    expected = [(p - 0.5 * g).detach() for p, g in zip(model.parameters(), gradients, strict=True)]
    model[1].weight.grad = torch.ones(5, 12)
    assert training_step(model, optimizer, images, labels) == pytest.approx(loss.item())
    torch.testing.assert_close([p.detach() for p in model.parameters()], expected)


def test_the_accuracy_counts_the_right_ones():
    model = nn.Sequential(nn.Flatten())
    images = torch.eye(3)[[0, 1, 2, 0]].reshape(4, 1, 1, 3)
    assert compute_accuracy(model, images, torch.tensor([0, 1, 1, 0])) == pytest.approx(0.75)


def test_training_on_the_bundled_images_learns_what_the_chapter_says():
    losses, accuracies, model = train(SimpleMLPTrainingArgs())
    assert len(losses) == 3 * 94
    assert losses[0] == pytest.approx(2.3, abs=0.1)
    assert losses[-1] < 0.65
    assert accuracies[-1] == pytest.approx(0.82, abs=0.015)
    assert isinstance(model, SimpleMLP)
    test_set = load_fashion_mnist("test")
    assert compute_accuracy(model, test_set.images, test_set.labels) == accuracies[-1]


def test_equal_arguments_give_equal_results_and_another_seed_does_not():
    sets = {"train_set": load_fashion_mnist().take(70), "test_set": load_fashion_mnist("test").take(30)}
    runs = [train(SimpleMLPTrainingArgs(**sets, epochs=1, seed=seed))[0] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1: got 0"),
        ({"epochs": 0}, "epochs must be at least 1: got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0: got 0.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SimpleMLPTrainingArgs(**settings)
