"""What learners hand in: other styles that are right, and what is said of typical failures."""

import pytest
import torch
from torch import nn

from arena_lib.errors import CheckFailed
from arena_lib.tests import cnns_and_resnets as tests


def refuse(judge, learners) -> str:
    with pytest.raises(CheckFailed) as caught:
        judge(learners)
    return str(caught.value)


class BatchNorm2d(nn.Module):
    """As somebody might write it who knows neither einops nor copy_."""

    def __init__(self, num_features, eps=1e-05, momentum=0.1):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        if self.training:
            m = torch.mean(x, dim=(0, 2, 3), keepdim=True)
            v = torch.var(x, dim=(0, 2, 3), unbiased=False, keepdim=True)
            n = x.shape[0] * x.shape[2] * x.shape[3]
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * m.detach().squeeze()
            self.running_var = self.running_var * (1 - self.momentum) + self.momentum * self.unbiased(v, n)
            self.num_batches_tracked += 1
        else:
            m = self.running_mean.reshape(1, -1, 1, 1)
            v = self.running_var.reshape(1, -1, 1, 1)
        out = (x - m) / torch.sqrt(v + self.eps)
        return out * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)

    def unbiased(self, v, n):
        return v.detach().squeeze() * n / (n - 1)

    def extra_repr(self):
        return f"num_features={self.num_features}, eps={self.eps}, momentum={self.momentum}"


def test_a_batch_norm_in_plain_words_passes(capsys):
    tests.test_batchnorm2d_module(BatchNorm2d)
    tests.test_batchnorm2d_forward(BatchNorm2d)
    tests.test_batchnorm2d_running_mean(BatchNorm2d)
    assert "passed" in capsys.readouterr().out


def test_a_biased_running_variance_is_named():
    class Biased(BatchNorm2d):
        def unbiased(self, v, n):
            return v.detach().squeeze()

    assert "moves the running variance by the biased one" in refuse(tests.test_batch_norm2d, Biased)


def test_a_batch_norm_that_ignores_its_mode_is_named():
    class AlwaysTraining(BatchNorm2d):
        def forward(self, x):
            mode, self.training = self.training, True
            out = super().forward(x)
            self.training = mode
            return out

    assert "ignores evaluation mode" in refuse(tests.test_batch_norm2d, AlwaysTraining)


def test_an_instance_in_place_of_the_class_is_explained():
    assert "Pass the class itself, without" in refuse(tests.test_batch_norm2d, BatchNorm2d(3))


class Block(nn.Module):
    """With torch's layers."""

    def __init__(self, in_feats, out_feats, first_stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_feats, out_feats, 3, first_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_feats)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_feats, out_feats, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_feats)
        self.downsample = self.make_downsample(in_feats, out_feats, first_stride)

    def make_downsample(self, in_feats, out_feats, stride):
        if stride == 1 and in_feats == out_feats:
            return None
        return nn.Sequential(nn.Conv2d(in_feats, out_feats, 1, stride, bias=False), nn.BatchNorm2d(out_feats))

    def left(self, x):
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))

    def right(self, x):
        return self.downsample(x) if self.downsample else x

    def forward(self, x):
        return self.relu(self.left(x) + self.right(x))


def test_a_block_of_torchs_layers_passes():
    tests.test_residual_block(Block)


@pytest.mark.parametrize(
    ("forward", "mistake"),
    [
        (lambda self, x: torch.relu(self.left(x)), "leaves out the way around"),
        (lambda self, x: torch.relu(self.left(x)) + self.right(x), "takes the relu before the addition"),
        (lambda self, x: self.left(x) + self.right(x), "forgets the last relu"),
        (lambda self, x: 0 * self.left(x), "gives zeros"),
    ],
)
def test_wrong_ways_through_a_block_are_named(forward, mistake):
    message = refuse(tests.test_residual_block, type("Wrong", (Block,), {"forward": forward}))
    assert mistake in message


def test_a_convolution_with_a_bias_is_refused_with_the_names():
    class Conv2d(nn.Conv2d):
        pass

    message = refuse(tests.test_conv2d_module, Conv2d)
    assert "bias" in message
    assert "parameters" in message


def test_a_block_without_batch_norm_on_the_way_around_is_named():
    class Bare(Block):
        def make_downsample(self, in_feats, out_feats, stride):
            made = super().make_downsample(in_feats, out_feats, stride)
            return None if made is None else nn.Sequential(made[0])

    assert "downsample" in refuse(tests.test_residual_block, Bare)


def test_a_loop_that_tests_in_training_mode_is_refused():
    from arena_lib.fundamentals.resnets import SimpleMLP, training_step

    def train(args):
        torch.manual_seed(args.seed)
        model = SimpleMLP()
        optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
        losses, accuracies = [], []
        for _ in range(args.epochs):
            for batch in torch.randperm(len(args.train_set.labels)).split(args.batch_size):
                losses.append(
                    training_step(model, optimizer, args.train_set.images[batch], args.train_set.labels[batch])
                )
            with torch.no_grad():
                right = model(args.test_set.images).argmax(-1) == args.test_set.labels
            accuracies.append(right.float().mean().item())
        return losses, accuracies, model

    assert "tests with the model in training mode" in refuse(tests.test_train, train)
