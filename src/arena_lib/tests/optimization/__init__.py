"""Judges of section 0.3, Optimization."""

from arena_lib.tests.optimization.adams import test_adam, test_adamw
from arena_lib.tests.optimization.adaptive import test_moving_average, test_rmsprop
from arena_lib.tests.optimization.collecting import test_all_reduce, test_broadcast, test_reduce, test_send_right
from arena_lib.tests.optimization.descending import test_gradient_descent, test_opt_fn_with_sgd, test_plain_sgd
from arena_lib.tests.optimization.grouped_descent import test_sgd_param_groups
from arena_lib.tests.optimization.grouping import test_decay_groups, test_make_param_groups
from arena_lib.tests.optimization.matrices import test_muon, test_orthogonalize
from arena_lib.tests.optimization.momentum import test_nesterov_sgd, test_sgd
from arena_lib.tests.optimization.rings import test_ring_all_gather, test_ring_all_reduce, test_ring_reduce_scatter
from arena_lib.tests.optimization.scheduling import test_schedule, test_warmup_cosine
from arena_lib.tests.optimization.searching import (
    test_make_sweep_config,
    test_sample_parameters,
    test_sweep_config,
    test_update_args,
)
from arena_lib.tests.optimization.tracking import test_tracked_trainer
from arena_lib.tests.optimization.trainers import test_dist_trainer
from arena_lib.tests.optimization.training_together import test_average_gradients, test_shard

__test__ = False

__all__ = [
    "test__",
    "test_adam",
    "test_adamw",
    "test_all_reduce",
    "test_average_gradients",
    "test_broadcast",
    "test_decay_groups",
    "test_dist_trainer",
    "test_gradient_descent",
    "test_make_param_groups",
    "test_make_sweep_config",
    "test_moving_average",
    "test_muon",
    "test_nesterov_sgd",
    "test_opt_fn_with_sgd",
    "test_orthogonalize",
    "test_plain_sgd",
    "test_reduce",
    "test_ring_all_gather",
    "test_ring_all_reduce",
    "test_ring_reduce_scatter",
    "test_rmsprop",
    "test_sample_parameters",
    "test_schedule",
    "test_send_right",
    "test_sgd",
    "test_sgd_param_groups",
    "test_shard",
    "test_sweep_config",
    "test_tracked_trainer",
    "test_update_args",
    "test_warmup_cosine",
]
