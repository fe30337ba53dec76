"""Loss landscapes: curvature without its matrix, where it comes from, and what its measures measure.

parameters               all parameters as one vector, and the network as a function of it
hessian_vector_products  how the gradient changes along a direction, by trying and exactly; small Hessians whole
spectra                  eigenvalues from products alone: power iteration, Lanczos's method, densities
behaviour                how all outputs move with all parameters
gauss_newton             the part of the curvature that comes from it
symmetries               directions in which nothing changes
slices                   lines and planes through a landscape
measuring_flatness       sharpness raised at will, and a measure that scales don't change
edge_of_stability        gradient descent, with the sharpness on its way
networks                 the small classifier, and its training

>>> import torch
>>> values, vectors = top_eigenpairs(lambda v: torch.tensor([1.0, 2.0, 5.0]) * v, torch.ones(3), k=1)
>>> values.round(decimals=3)
tensor([5.])
"""

from arena_lib.fundamentals.landscapes.behaviour import behavioural_gradient, behavioural_spectrum
from arena_lib.fundamentals.landscapes.edge_of_stability import Descent, descend_and_measure, measure_sharpness
from arena_lib.fundamentals.landscapes.gauss_newton import gauss_newton_matrix, gauss_newton_product, softmax_hessians
from arena_lib.fundamentals.landscapes.hessian_vector_products import (
    compute_gradient,
    exact_hessian,
    hessian_vector_product,
    hvp_by_differences,
)
from arena_lib.fundamentals.landscapes.measuring_flatness import raise_sharpness, scale_free_product
from arena_lib.fundamentals.landscapes.networks import TwoLayers, compute_accuracy, shrink_images, train_to_loss
from arena_lib.fundamentals.landscapes.parameters import (
    flatten_parameters,
    make_loss_function,
    outputs_at,
    unflatten_parameters,
)
from arena_lib.fundamentals.landscapes.slices import filter_normalise, losses_along_line, losses_in_plane
from arena_lib.fundamentals.landscapes.spectra.lanczos import lanczos, lanczos_quadrature, ritz_pairs, top_eigenpairs
from arena_lib.fundamentals.landscapes.spectra.power_iteration import power_iteration
from arena_lib.fundamentals.landscapes.spectra.spectral_density import estimate_density, smooth
from arena_lib.fundamentals.landscapes.symmetries import (
    find_dead_units,
    linear_directions,
    rescale_hidden,
    scaling_directions,
    shift_directions,
    unused_directions,
)

__all__ = [
    "Descent",
    "TwoLayers",
    "behavioural_gradient",
    "behavioural_spectrum",
    "compute_accuracy",
    "compute_gradient",
    "descend_and_measure",
    "estimate_density",
    "exact_hessian",
    "filter_normalise",
    "find_dead_units",
    "flatten_parameters",
    "gauss_newton_matrix",
    "gauss_newton_product",
    "hessian_vector_product",
    "hvp_by_differences",
    "lanczos",
    "lanczos_quadrature",
    "linear_directions",
    "losses_along_line",
    "losses_in_plane",
    "make_loss_function",
    "measure_sharpness",
    "outputs_at",
    "power_iteration",
    "raise_sharpness",
    "rescale_hidden",
    "ritz_pairs",
    "scale_free_product",
    "scaling_directions",
    "shift_directions",
    "shrink_images",
    "smooth",
    "softmax_hessians",
    "top_eigenpairs",
    "train_to_loss",
    "unflatten_parameters",
    "unused_directions",
]
