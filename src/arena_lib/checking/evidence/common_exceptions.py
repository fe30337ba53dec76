"""What PyTorch's commonest exceptions mean, and what to do: their own words say it only to those who know.

Nothing is said of an exception whose own words say what to do, or that may have many reasons.
"""

import re

MEANINGS = {
    r"'NoneType'": "Something here is None: a `.grad` that backward() hasn't filled (it fills only that of leaves, which are "
    "tensors that weren't calculated from others), or what a function without `return` gives.",
    r"leaf Variable that requires grad is being used in an in-place operation": "PyTorch records what happens to a tensor "
    "that requires a gradient. To change one in place, do it inside `with torch.no_grad():`.",
    r"can't optimize a non-leaf Tensor": "An optimizer takes tensors that weren't calculated from others: "
    "`x.detach().clone().requires_grad_()` makes one of any x.",
    r"does not require grad and does not have a grad_fn": "Nothing that this was calculated from leads back to a tensor that "
    "requires a gradient. `detach`, `.item()`, `.data` and `no_grad` cut the way off. So does a first `torch.autograd.grad` "
    "without `create_graph=True`, if its result is differentiated again.",
    r"appears to not have been used in the graph": "The result doesn't depend on this tensor: perhaps it was calculated from "
    "a copy, or before the copy was made.",
    r"grad can be implicitly created only for scalar outputs": "backward() begins at a single number: take `.mean()` or "
    "`.sum()` first, as the task asks.",
    r"backward through the graph a second time": "backward() uses up what PyTorch recorded. Calculate the loss anew for each "
    "step, and `detach` what you keep from an earlier one.",
    r"has been modified by an inplace operation": "backward() needs a value that was changed after its use. Write "
    "`x = x + y` in place of `x += y`, or change a clone.",
    r"Boolean value of Tensor with more than one value": "`if`, `and`, `or` and `not` ask for one truth value. For each entry "
    "by itself there are torch.where, &, | and ~; for all together `.all()` and `.any()`.",
    r"mat1 and mat2 shapes cannot be multiplied": "In `a @ b` the last axis of a must be as long as the last but one of b. "
    "Is one of them transposed, or is an axis missing, such as the batch's? Print both shapes.",
    r"The size of tensor a \(\d+\) must match the size of tensor b": "The shapes of two tensors don't go together. They are "
    "compared from the last axis on: two lengths must be equal, or one of them 1. Print both shapes; [:, None] adds an axis.",
    r"same dtype, but (?:got|found)": "Two tensors have different dtypes, such as float64 and float32. New tensors are float32 "
    "unless told otherwise: `dtype=x.dtype`, `torch.zeros_like(x)` or `.to(x.dtype)`.",
    r"before Module.__init__\(\) call|has no attribute '_(?:backward_hooks|parameters|modules|buffers)'": "A class that is an "
    "nn.Module must begin its `__init__` with `super().__init__()`.",
    r"tensors used as indices must be long": "An index must be whole numbers or booleans: `.long()` makes whole numbers.",
}
"""A pattern of the exception's text, and what it means."""


def meaning_of(error: BaseException) -> list[str]:
    """What a common exception means, in one or two sentences; nothing if it isn't one.

    >>> meaning_of(RuntimeError("grad can be implicitly created only for scalar outputs"))
    ['backward() begins at a single number: take `.mean()` or `.sum()` first, as the task asks.']
    >>> meaning_of(ValueError("no such kernel"))
    []
    """
    text = str(error)
    return next(([meaning] for pattern, meaning in MEANINGS.items() if re.search(pattern, text)), [])
