"""What parameters, directions and losses must be, for all that measures a landscape.

Raises:  ShapeError, DtypeError, ConfigError and TrainingError, each with the name of what doesn't fit.
"""

from torch import Tensor

from arena_lib.errors import ConfigError, DtypeError, ShapeError, TrainingError


def check_theta(theta: Tensor) -> None:
    """Refuse anything but one vector of float32 or float64."""
    if theta.ndim != 1:
        raise ShapeError(
            f'theta must be one vector "n_params": got shape {tuple(theta.shape)}. Use flatten_parameters(model).'
        )
    if not theta.is_floating_point() or theta.dtype.itemsize < 4:
        raise DtypeError(f"theta must be float32 or float64: got {theta.dtype}. Use theta.double().")


def check_direction(v: Tensor, theta: Tensor, name: str = "v") -> None:
    """Refuse a direction that doesn't have the shape and the dtype of the parameters."""
    if v.shape != theta.shape:
        raise ShapeError(
            f"{name} must have one entry for each parameter: got shape {tuple(v.shape)} for {tuple(theta.shape)}. "
            "Use torch.randn_like(theta)."
        )
    if v.dtype != theta.dtype:
        raise DtypeError(f"{name} must have the dtype of theta, {theta.dtype}: got {v.dtype}. Use {name}.to(theta).")


def check_loss(loss: Tensor) -> None:
    """Refuse a loss that isn't one finite number which remembers how it was made from theta."""
    if loss.ndim:
        raise ShapeError(
            f"the loss must be one number, a tensor without axes: got shape {tuple(loss.shape)}. Take its mean or its sum."
        )
    if not loss.isfinite():
        raise TrainingError(f"the loss must be finite: got {loss.item()}. Look at theta: has training diverged?")
    if not loss.requires_grad:
        raise ConfigError(
            "the loss must be calculated from theta, with gradients: got one without. "
            "Use theta itself in loss_fn, without .detach() and outside torch.no_grad()."
        )


def check_steps(n_steps: int, n_params: int, name: str = "n_steps") -> None:
    """Refuse fewer steps than one, and more than there are dimensions."""
    if not 1 <= n_steps <= n_params:
        raise ConfigError(f"{name} must be from 1 to the number of parameters, {n_params}: got {n_steps}.")


def check_start(start: Tensor) -> None:
    """Refuse a vector that has no direction."""
    check_theta(start)
    if not start.isfinite().all() or not start.norm() > 0:
        raise ConfigError("start must be finite and not all zeros: it has no direction. Use torch.randn.")


def check_counts(at_least: int = 1, **counts: int) -> None:
    """Refuse counts that are too small, each under its own name."""
    for name, count in counts.items():
        if count < at_least:
            raise ConfigError(f"{name} must be at least {at_least}: got {count}. Raise it.")


def check_above_zero(**numbers: float) -> None:
    """Refuse numbers that aren't finite and above 0, each under its own name."""
    for name, number in numbers.items():
        if not 0 < number < float("inf"):
            raise ConfigError(f"{name} must be finite and above 0: got {number}.")


def check_length(theta: Tensor, n_params: int) -> None:
    """Refuse a vector that is too short or too long for a model."""
    if len(theta) != n_params:
        raise ShapeError(
            f"theta must have one entry for each of the model's {n_params} parameters: got {len(theta)}. "
            "Use flatten_parameters(model) of the same model."
        )


def check_outputs(outputs: Tensor) -> None:
    """Refuse outputs that don't remember how they were made from theta."""
    if not outputs.requires_grad:
        raise ConfigError(
            "the outputs must be calculated from theta, with gradients: got some without. Use theta itself."
        )


def check_same_shape(name: str, direction: Tensor, parameter: Tensor) -> None:
    """Refuse a direction of one parameter that doesn't have its shape."""
    if direction.shape != parameter.shape:
        raise ShapeError(
            f"the direction of {name} must have its shape, {tuple(parameter.shape)}: got {tuple(direction.shape)}. "
            "Use torch.randn_like(parameter)."
        )
