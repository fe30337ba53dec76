"""An autograd engine on numpy, from the derivative of one function to a trained classifier and higher derivatives.

arrays              functions of arrays with the arguments that backward functions get
tensors             `Tensor`, an array that remembers its recipe; numpy's operators and functions work on it
grad_mode           `no_grad`
recording           functions of arrays made into functions of tensors: `wrap_forward_fn`
operations          those of numpy that are recorded
elementwise_back    backward functions entry by entry, and `unbroadcast`
shape_back          backward functions of reshape, permute, sum and the product of matrices
lookup              which backward function belongs to what
sorting             `topological_sort`
backward_pass       `backprop`
higher_derivatives  gradients of gradients, and Hessian-vector products
finite_differences  gradients by trying, and `check_gradient`
classifier          layers, a loss, an optimizer, pictures of digits, and their training

>>> w = Tensor([2.0, 3.0], requires_grad=True)
>>> loss = (w * w).sum()
>>> backprop(loss)
>>> w.grad
Tensor([4., 6.])
"""

from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.finite_differences import check_back_func, check_gradient, numerical_gradient
from arena_lib.fundamentals.backprop.grad_mode import is_grad_enabled, no_grad
from arena_lib.fundamentals.backprop.higher_derivatives import compute_gradients, hessian_vector_product
from arena_lib.fundamentals.backprop.lookup import BACK_FUNCS, BackwardFuncLookup
from arena_lib.fundamentals.backprop.operations import exp, log, maximum, where
from arena_lib.fundamentals.backprop.recording import wrap_forward_fn
from arena_lib.fundamentals.backprop.sorting import topological_sort
from arena_lib.fundamentals.backprop.tensors import FORWARD_FUNCS, Recipe, Tensor

__all__ = [
    "BACK_FUNCS",
    "FORWARD_FUNCS",
    "BackwardFuncLookup",
    "Recipe",
    "Tensor",
    "backprop",
    "check_back_func",
    "check_gradient",
    "compute_gradients",
    "exp",
    "hessian_vector_product",
    "is_grad_enabled",
    "log",
    "maximum",
    "no_grad",
    "numerical_gradient",
    "topological_sort",
    "where",
    "wrap_forward_fn",
]
