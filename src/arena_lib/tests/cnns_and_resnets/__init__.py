"""Judges of section 0.2, CNNs and ResNets."""

from arena_lib.checking import also_called
from arena_lib.tests.cnns_and_resnets.blocks import test_block_group, test_residual_block
from arena_lib.tests.cnns_and_resnets.conv_modules import test_average_pool, test_conv2d_module
from arena_lib.tests.cnns_and_resnets.convolving import test_conv1d, test_conv2d
from arena_lib.tests.cnns_and_resnets.extraction import test_get_resnet_for_feature_extraction, test_train_resnet
from arena_lib.tests.cnns_and_resnets.first_network import test_flatten, test_simple_mlp
from arena_lib.tests.cnns_and_resnets.layers import test_linear, test_relu
from arena_lib.tests.cnns_and_resnets.loops import test_train
from arena_lib.tests.cnns_and_resnets.memory import test_contiguous_strides, test_memory_position
from arena_lib.tests.cnns_and_resnets.networks import test_resnet34
from arena_lib.tests.cnns_and_resnets.norms import test_batch_norm2d
from arena_lib.tests.cnns_and_resnets.pads import (
    test_pad1d,
    test_pad1d_multi_channel,
    test_pad2d,
    test_pad2d_multi_channel,
)
from arena_lib.tests.cnns_and_resnets.pools import test_maxpool2d
from arena_lib.tests.cnns_and_resnets.sizes import test_output_size
from arena_lib.tests.cnns_and_resnets.steps import test_compute_accuracy, test_predict, test_training_step
from arena_lib.tests.cnns_and_resnets.sums import (
    test_as_strided_mm,
    test_as_strided_mv,
    test_as_strided_trace,
    test_mm,
    test_mm2,
    test_mv,
    test_mv2,
    test_trace,
)
from arena_lib.tests.cnns_and_resnets.tiles import test_cut_tiles, test_sliding_windows
from arena_lib.tests.cnns_and_resnets.views import (
    test_repeat_row,
    test_swap_axes,
    test_take_column,
    test_take_every,
    test_take_first,
)
from arena_lib.tests.cnns_and_resnets.windows import (
    test_conv1d_minimal,
    test_conv1d_minimal_simple,
    test_conv2d_minimal,
)

test_linear_parameters = test_linear_forward = also_called(test_linear)
test_mlp_module = test_mlp_forward = also_called(test_simple_mlp)
test_batchnorm2d_module = test_batchnorm2d_forward = test_batchnorm2d_running_mean = also_called(test_batch_norm2d)
test_averagepool = also_called(test_average_pool)

__test__ = False

__all__ = [
    "test_as_strided_mm",
    "test_as_strided_mv",
    "test_as_strided_trace",
    "test_average_pool",
    "test_averagepool",
    "test_batch_norm2d",
    "test_batchnorm2d_forward",
    "test_batchnorm2d_module",
    "test_batchnorm2d_running_mean",
    "test_block_group",
    "test_compute_accuracy",
    "test_contiguous_strides",
    "test_conv1d",
    "test_conv1d_minimal",
    "test_conv1d_minimal_simple",
    "test_conv2d",
    "test_conv2d_minimal",
    "test_conv2d_module",
    "test_cut_tiles",
    "test_flatten",
    "test_get_resnet_for_feature_extraction",
    "test_linear",
    "test_linear_forward",
    "test_linear_parameters",
    "test_maxpool2d",
    "test_memory_position",
    "test_mlp_forward",
    "test_mlp_module",
    "test_mm",
    "test_mm2",
    "test_mv",
    "test_mv2",
    "test_output_size",
    "test_pad1d",
    "test_pad1d_multi_channel",
    "test_pad2d",
    "test_pad2d_multi_channel",
    "test_predict",
    "test_relu",
    "test_repeat_row",
    "test_residual_block",
    "test_resnet34",
    "test_simple_mlp",
    "test_sliding_windows",
    "test_swap_axes",
    "test_take_column",
    "test_take_every",
    "test_take_first",
    "test_trace",
    "test_train",
    "test_train_resnet",
    "test_training_step",
]
