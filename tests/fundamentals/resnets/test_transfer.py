import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.images import LabelledImages, load_fashion_mnist
from arena_lib.fundamentals.resnets import (
    ResNet34,
    ResNetTrainingArgs,
    get_resnet_for_feature_extraction,
    prepare_for_resnet,
    train_resnet,
)


@pytest.fixture(scope="module")
def pretrained():
    torch.manual_seed(0)
    model = ResNet34((1, 1), (4, 6), (1, 2), n_classes=8)
    for _ in range(20):
        model(torch.randn(16, 3, 28, 28))
    return model


def test_pictures_are_prepared_to_have_mean_0_and_deviation_1():
    images = prepare_for_resnet(load_fashion_mnist("test").images)
    assert images.shape == (1000, 3, 28, 28)
    assert images.mean().item() == pytest.approx(0, abs=0.02)
    assert images.std().item() == pytest.approx(1, abs=0.02)


def test_only_the_new_head_learns(pretrained):
    model = get_resnet_for_feature_extraction(3, pretrained)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    assert model.fc.weight.shape == (3, 6)
    assert pretrained.fc.weight.shape == (8, 6)
    assert all(p.requires_grad for p in pretrained.parameters())


def test_training_changes_the_head_alone_buffers_included(pretrained):
    images = torch.randn(23, 3, 28, 28)
    data = LabelledImages(images, (images.mean(dim=(1, 2, 3)) > 0).long(), ("dark", "bright"))
    before = {name: tensor.clone() for name, tensor in pretrained.state_dict().items()}
    args = ResNetTrainingArgs(pretrained=pretrained, train_set=data, test_set=data, n_classes=2, batch_size=5, epochs=2)
    losses, accuracies, model = train_resnet(args)
    assert (len(losses), len(accuracies)) == (10, 2)
    for name, tensor in model.state_dict().items():
        if not name.startswith("fc."):
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    torch.testing.assert_close(pretrained.state_dict(), before, rtol=0, atol=0)


def test_settings_that_cannot_work_are_refused(pretrained):
    data = load_fashion_mnist("test").take(3)
    for wrong in ({"n_classes": 0}, {"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ResNetTrainingArgs(pretrained=pretrained, train_set=data, test_set=data, **wrong)
