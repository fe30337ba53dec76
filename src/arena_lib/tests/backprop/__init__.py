"""Judges of section 0.4, Backprop."""

from arena_lib.tests.backprop.broadcasting import test_unbroadcast
from arena_lib.tests.backprop.by_hand import test_forward_and_back
from arena_lib.tests.backprop.by_trying import test_numerical_gradient
from arena_lib.tests.backprop.curvature import test_hessian_vector_product
from arena_lib.tests.backprop.descent import test_sgd
from arena_lib.tests.backprop.graphs import (
    test_topological_sort,
    test_topological_sort_branching,
    test_topological_sort_cyclic,
    test_topological_sort_linked_list,
    test_topological_sort_rejoining,
)
from arena_lib.tests.backprop.higher import test_compute_gradients
from arena_lib.tests.backprop.layers import test_linear
from arena_lib.tests.backprop.losses import test_cross_entropy
from arena_lib.tests.backprop.maxima import (
    test_maximum,
    test_maximum_back0,
    test_maximum_back1,
    test_maximum_broadcasted,
    test_relu,
)
from arena_lib.tests.backprop.one_argument import test_exp_back, test_log_back, test_negative_back
from arena_lib.tests.backprop.passes import (
    test_backprop,
    test_backprop_branching,
    test_backprop_float_arg,
    test_backprop_requires_grad_false,
    test_backprop_requires_grad_sum,
)
from arena_lib.tests.backprop.products import (
    test_multiply_back,
    test_multiply_back0,
    test_multiply_back1,
    test_multiply_back_float,
    test_true_divide_back1,
)
from arena_lib.tests.backprop.records import (
    test_log,
    test_log_forward,
    test_log_no_grad,
    test_multiply,
    test_multiply_float,
    test_multiply_forward,
    test_multiply_no_grad,
)
from arena_lib.tests.backprop.shapes import (
    test_matmul2d,
    test_matmul2d_back0,
    test_matmul2d_back1,
    test_permute_back,
    test_reshape_back,
    test_sum_back,
    test_sum_dim_none,
    test_sum_keepdim_false,
    test_sum_keepdim_true,
    test_sum_nonscalar_grad_out,
)
from arena_lib.tests.backprop.steps import test_training_step
from arena_lib.tests.backprop.sums import test_add_broadcasted, test_subtract_broadcasted, test_truedivide_broadcasted
from arena_lib.tests.backprop.tables import test_backward_func_lookup
from arena_lib.tests.backprop.wrapping import test_eq, test_sum, test_wrap_forward_fn

__test__ = False

__all__ = [
    "test_add_broadcasted",
    "test_backprop",
    "test_backprop_branching",
    "test_backprop_float_arg",
    "test_backprop_requires_grad_false",
    "test_backprop_requires_grad_sum",
    "test_backward_func_lookup",
    "test_compute_gradients",
    "test_cross_entropy",
    "test_eq",
    "test_exp_back",
    "test_forward_and_back",
    "test_hessian_vector_product",
    "test_linear",
    "test_log",
    "test_log_back",
    "test_log_forward",
    "test_log_no_grad",
    "test_matmul2d",
    "test_matmul2d_back0",
    "test_matmul2d_back1",
    "test_maximum",
    "test_maximum_back0",
    "test_maximum_back1",
    "test_maximum_broadcasted",
    "test_multiply",
    "test_multiply_back",
    "test_multiply_back0",
    "test_multiply_back1",
    "test_multiply_back_float",
    "test_multiply_float",
    "test_multiply_forward",
    "test_multiply_no_grad",
    "test_negative_back",
    "test_numerical_gradient",
    "test_permute_back",
    "test_relu",
    "test_reshape_back",
    "test_sgd",
    "test_subtract_broadcasted",
    "test_sum",
    "test_sum_back",
    "test_sum_dim_none",
    "test_sum_keepdim_false",
    "test_sum_keepdim_true",
    "test_sum_nonscalar_grad_out",
    "test_topological_sort",
    "test_topological_sort_branching",
    "test_topological_sort_cyclic",
    "test_topological_sort_linked_list",
    "test_topological_sort_rejoining",
    "test_training_step",
    "test_true_divide_back1",
    "test_truedivide_broadcasted",
    "test_unbroadcast",
    "test_wrap_forward_fn",
]
