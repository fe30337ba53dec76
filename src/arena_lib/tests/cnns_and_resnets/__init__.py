"""Judges of section 0.2, CNNs and ResNets."""

from arena_lib.tests.cnns_and_resnets.blocks import test_block_group, test_residual_block
from arena_lib.tests.cnns_and_resnets.conv_modules import test_average_pool, test_conv2d
from arena_lib.tests.cnns_and_resnets.layers import test_flatten, test_linear, test_relu, test_simple_mlp
from arena_lib.tests.cnns_and_resnets.loops import (
    test_get_resnet_for_feature_extraction,
    test_train,
    test_train_resnet,
)
from arena_lib.tests.cnns_and_resnets.networks import test_resnet34
from arena_lib.tests.cnns_and_resnets.norms import test_batch_norm2d
from arena_lib.tests.cnns_and_resnets.steps import test_compute_accuracy, test_predict, test_training_step

test_linear_parameters = test_linear_forward = test_linear
test_mlp_module = test_mlp_forward = test_simple_mlp
test_conv2d_module = test_conv2d
test_batchnorm2d_module = test_batchnorm2d_forward = test_batchnorm2d_running_mean = test_batch_norm2d
test_averagepool = test_average_pool

__test__ = False

__all__ = [
    "test_average_pool",
    "test_averagepool",
    "test_batch_norm2d",
    "test_batchnorm2d_forward",
    "test_batchnorm2d_module",
    "test_batchnorm2d_running_mean",
    "test_block_group",
    "test_compute_accuracy",
    "test_conv2d",
    "test_conv2d_module",
    "test_flatten",
    "test_get_resnet_for_feature_extraction",
    "test_linear",
    "test_linear_forward",
    "test_linear_parameters",
    "test_mlp_forward",
    "test_mlp_module",
    "test_predict",
    "test_relu",
    "test_residual_block",
    "test_resnet34",
    "test_simple_mlp",
    "test_train",
    "test_train_resnet",
    "test_training_step",
]
