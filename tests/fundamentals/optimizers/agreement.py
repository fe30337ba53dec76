"""Two optimizers side by side on the same gradients."""

import torch


def side_by_side(ours, theirs, shapes, *, n_steps=12, missing=(), dtype=torch.float64, seed=0):
    """Both take `n_steps` with equal random gradients; `missing` are pairs of step and parameter without one.

    Yields the two lists of parameters after each step.
    """
    generator = torch.Generator().manual_seed(seed)
    start = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    pair = [[tensor.clone().requires_grad_() for tensor in start] for _ in range(2)]
    optimizers = [make(params) for make, params in zip((ours, theirs), pair, strict=True)]
    for n in range(n_steps):
        grads = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
        for params, optimizer in zip(pair, optimizers, strict=True):
            optimizer.zero_grad()
            for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
                param.grad = None if (n, i) in missing else grad.clone()
            optimizer.step()
        yield pair


SHAPES = ((3, 5), (4,), (), (2, 1, 3))
MISSING = ((0, 1), (3, 0), (4, 0), (7, 3))


def assert_agree(ours, theirs, shapes=SHAPES, missing=MISSING, **options):
    for mine, other in side_by_side(ours, theirs, shapes, missing=missing, **options):
        for a, b in zip(mine, other, strict=True):
            torch.testing.assert_close(a, b)
