"""Judges of section 0.6, Loss landscapes."""

from arena_lib.tests.loss_landscapes.behaviour import (
    test_behavioural_gradient,
    test_gauss_newton_product,
    test_softmax_hessians,
)
from arena_lib.tests.loss_landscapes.curvature import (
    test_exact_hessian,
    test_hessian_vector_product,
    test_hvp_by_differences,
)
from arena_lib.tests.loss_landscapes.descent import test_descend_and_measure
from arena_lib.tests.loss_landscapes.flatness import test_raise_sharpness, test_scale_free_product
from arena_lib.tests.loss_landscapes.lines import test_losses_along_line
from arena_lib.tests.loss_landscapes.small_matrices import test_lanczos_quadrature, test_ritz_pairs
from arena_lib.tests.loss_landscapes.spectra import test_lanczos, test_power_iteration
from arena_lib.tests.loss_landscapes.symmetric import (
    test_filter_normalise,
    test_rescale_hidden,
    test_scaling_directions,
)
from arena_lib.tests.loss_landscapes.vectors import (
    test_flatten_parameters,
    test_outputs_at,
    test_unflatten_parameters,
)

__test__ = False

__all__ = [
    "test_behavioural_gradient",
    "test_descend_and_measure",
    "test_exact_hessian",
    "test_filter_normalise",
    "test_flatten_parameters",
    "test_gauss_newton_product",
    "test_hessian_vector_product",
    "test_hvp_by_differences",
    "test_lanczos",
    "test_lanczos_quadrature",
    "test_losses_along_line",
    "test_outputs_at",
    "test_power_iteration",
    "test_raise_sharpness",
    "test_rescale_hidden",
    "test_ritz_pairs",
    "test_scale_free_product",
    "test_scaling_directions",
    "test_softmax_hessians",
    "test_unflatten_parameters",
]
