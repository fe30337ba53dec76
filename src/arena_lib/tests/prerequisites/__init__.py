"""Judges of section 0.0, Prerequisites."""

from arena_lib.tests.prerequisites.basics import (
    test_count_words,
    test_in_batches,
)
from arena_lib.tests.prerequisites.broadcasting import (
    test_addition_table,
    test_can_see,
    test_centre_columns,
    test_cos_sim_matrix,
    test_distance_matrix,
    test_normalize_rows,
    test_one_hot,
)
from arena_lib.tests.prerequisites.chances import (
    test_entropy,
    test_numerical_derivative,
    test_sample_distribution,
)
from arena_lib.tests.prerequisites.classes import (
    test_running_mean,
    test_schedule,
)
from arena_lib.tests.prerequisites.einsum import (
    test_attention_scores,
    test_batched_product,
    test_einsum_inner,
    test_einsum_mm,
    test_einsum_mv,
    test_einsum_outer,
    test_einsum_trace,
)
from arena_lib.tests.prerequisites.gathering import (
    test_gather_2d,
    test_integer_array_indexing,
    test_last_vectors,
    test_total_price_gather,
    test_total_price_indexing,
)
from arena_lib.tests.prerequisites.indexing import (
    test_checkerboard,
    test_classifier_accuracy,
    test_collect_columns,
    test_collect_rows,
    test_count_values,
    test_zero_outliers,
)
from arena_lib.tests.prerequisites.pictures import (
    test_arrange_in_grid,
    test_show_channels,
    test_side_by_side,
    test_stack_down,
    test_turn_right,
    test_weave,
)
from arena_lib.tests.prerequisites.resizing import (
    test_enlarge,
    test_lay_over,
    test_shrink,
    test_to_grey,
)
from arena_lib.tests.prerequisites.shapes import (
    test_add_axes,
    test_count_up,
    test_flatten_images,
    test_rearrange_1,
    test_rearrange_2,
    test_split_heads,
)
from arena_lib.tests.prerequisites.softmax import (
    test_batched_cross_entropy_loss,
    test_batched_logsoftmax,
    test_batched_logsumexp,
    test_batched_softmax,
)
from arena_lib.tests.prerequisites.temperatures import (
    test_temperatures_average,
    test_temperatures_differences,
    test_temperatures_normalized,
)
from arena_lib.tests.prerequisites.timing import (
    test_estimate_seconds,
    test_matmul_cost,
)

__test__ = False

__all__ = [
    "test_add_axes",
    "test_addition_table",
    "test_arrange_in_grid",
    "test_attention_scores",
    "test_batched_cross_entropy_loss",
    "test_batched_logsoftmax",
    "test_batched_logsumexp",
    "test_batched_product",
    "test_batched_softmax",
    "test_can_see",
    "test_centre_columns",
    "test_checkerboard",
    "test_classifier_accuracy",
    "test_collect_columns",
    "test_collect_rows",
    "test_cos_sim_matrix",
    "test_count_up",
    "test_count_values",
    "test_count_words",
    "test_distance_matrix",
    "test_einsum_inner",
    "test_einsum_mm",
    "test_einsum_mv",
    "test_einsum_outer",
    "test_einsum_trace",
    "test_enlarge",
    "test_entropy",
    "test_estimate_seconds",
    "test_flatten_images",
    "test_gather_2d",
    "test_in_batches",
    "test_integer_array_indexing",
    "test_last_vectors",
    "test_lay_over",
    "test_matmul_cost",
    "test_normalize_rows",
    "test_numerical_derivative",
    "test_one_hot",
    "test_rearrange_1",
    "test_rearrange_2",
    "test_running_mean",
    "test_sample_distribution",
    "test_schedule",
    "test_show_channels",
    "test_shrink",
    "test_side_by_side",
    "test_split_heads",
    "test_stack_down",
    "test_temperatures_average",
    "test_temperatures_differences",
    "test_temperatures_normalized",
    "test_to_grey",
    "test_total_price_gather",
    "test_total_price_indexing",
    "test_turn_right",
    "test_weave",
    "test_zero_outliers",
]
