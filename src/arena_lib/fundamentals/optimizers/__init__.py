"""Optimizers from gradient descent to Muon, surfaces to watch them on, parameter groups and schedules.

surfaces      functions of two numbers with known lowest points
paths         the points that an optimizer goes through
sgd           gradient descent, momentum, Nesterov's momentum
averages      running averages, with their bias taken out
rmsprop       steps divided by the usual size of a gradient
adam          Adam and AdamW
muon          momentum made orthogonal
param_groups  settings that differ between parameters
schedules     learning rates that change
parameters    what all of them ask of their parameters and settings
experiments   training runs to compare them

>>> import torch
>>> weight = torch.tensor([1.0, -2.0], requires_grad=True)
>>> optimizer = SGD([weight], lr=0.1)
>>> (weight**2).sum().backward()
>>> optimizer.step()
>>> weight.tolist()
[0.800000011920929, -1.600000023841858]
"""

from arena_lib.fundamentals.optimizers.adam import Adam, AdamW
from arena_lib.fundamentals.optimizers.averages import moving_average
from arena_lib.fundamentals.optimizers.muon import Muon, orthogonalize
from arena_lib.fundamentals.optimizers.param_groups import SGDParamGroups, decay_groups, make_param_groups
from arena_lib.fundamentals.optimizers.paths import gradient_descent, opt_fn, opt_fn_with_sgd
from arena_lib.fundamentals.optimizers.rmsprop import CenteredRMSprop, RMSprop
from arena_lib.fundamentals.optimizers.schedules import Schedule, warmup_cosine
from arena_lib.fundamentals.optimizers.sgd import SGD, NesterovSGD, PlainSGD
from arena_lib.fundamentals.optimizers.surfaces import SURFACES, Surface, heights_on_grid

__all__ = [
    "SGD",
    "SURFACES",
    "Adam",
    "AdamW",
    "CenteredRMSprop",
    "Muon",
    "NesterovSGD",
    "PlainSGD",
    "RMSprop",
    "SGDParamGroups",
    "Schedule",
    "Surface",
    "decay_groups",
    "gradient_descent",
    "heights_on_grid",
    "make_param_groups",
    "moving_average",
    "opt_fn",
    "opt_fn_with_sgd",
    "orthogonalize",
    "warmup_cosine",
]
