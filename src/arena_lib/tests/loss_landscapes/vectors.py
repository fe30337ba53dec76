"""Judges of parameters as one vector, and of the network as a function of it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.landscapes import parameters
from arena_lib.tests.loss_landscapes.watching import describe_model, draw, fill

__test__ = False


class Shuffled(nn.Module):
    """Parameters that aren't in the order of the alphabet, nor used in the order in which they were made."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Linear(4, 2)
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.second(torch.tanh(self.first(x))) * self.scale
        return outputs


def frozen_first_layer() -> nn.Module:
    """A layer that is not trained."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    model[0].weight.requires_grad_(False)
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "two layers": lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
    "parameters out of order": Shuffled,
    "buffers that are no parameters": lambda: nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)),
    "one parameter, in float64": lambda: nn.Linear(3, 2, bias=False).double(),
    "a frozen parameter": frozen_first_layer,
}


def make(case: Case) -> nn.Module:
    """The model of a case, with its weights, in evaluation mode."""
    return fill(MODELS[case.label](), 3).eval()


def model_cases(generator: torch.Generator) -> list[Case]:
    """Two layers, parameters out of order, buffers, float64, frozen ones."""
    return [Case(label=label, given={}, call="model") for label in MODELS]


def flat_vector(function: Callable[..., Any], case: Case) -> Observations:
    """The vector; the model after something was written into the vector."""
    model = make(case)
    theta = function(model)
    seen = {"vector": theta.detach().clone(), "has a history": theta.requires_grad}
    theta.detach().zero_()
    return seen | describe_model(model)


def flat_by_library(model: nn.Module) -> Tensor:
    """By torch's own function."""
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def flat_by_loop(model: nn.Module) -> Tensor:
    """Number by number."""
    with torch.no_grad():
        numbers = [number for _, parameter in model.named_parameters() for number in parameter.reshape(-1)]
        return torch.stack(numbers)


def flat_with_buffers(model: nn.Module) -> Tensor:
    """The whole state."""
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


test_flatten_parameters = exercise(
    reference=parameters.flatten_parameters,
    cases=model_cases,
    observe=flat_vector,
    accepts=[flat_by_library, flat_by_loop],
    mistakes=[
        *instead_of(
            "parameter.detach().flatten() for parameter in model.parameters()",
            {
                "parameter.flatten() for parameter in model.parameters()": (
                    "keeps a history",
                    "the vector is a copy without a gradient: detach the parameters",
                ),
                "parameter.detach().T.flatten() for parameter in model.parameters()": (
                    "goes through each parameter column by column",
                    "each parameter is flattened row by row",
                ),
                "parameter.detach().flatten() for _, parameter in sorted(model.named_parameters())": (
                    "sorts the parameters by name",
                    "they follow each other in the order of model.named_parameters()",
                ),
                "parameter.detach().flatten() for parameter in model.parameters() if parameter.requires_grad": (
                    "leaves frozen parameters out",
                    "the vector holds all parameters",
                ),
                "parameter.detach().flatten().float() for parameter in model.parameters()": (
                    "makes float32 of all",
                    "the parameters keep their dtype",
                ),
            },
        ),
        Mistake(
            "takes buffers in", function=flat_with_buffers, why="a running mean is no parameter: model.parameters()"
        ),
    ],
)


def cut_vector(function: Callable[..., Any], case: Case) -> Observations:
    """Names, parts, the gradient that reaches the vector, and the model."""
    model = make(case)
    generator = torch.Generator().manual_seed(4)
    n_params = sum(p.numel() for p in model.parameters())
    theta = draw(generator, n_params).to(next(model.parameters()).dtype)
    leaf = theta.clone().requires_grad_(True)
    parts = function(leaf, model)
    seen: Observations = {"names": list(parts), "parts": {name: part.detach() for name, part in parts.items()}}
    total = sum(((part * (i + 1)).sin().sum() for i, part in enumerate(parts.values())), start=torch.zeros(()))
    seen["gradient reaches theta"] = total.requires_grad
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total, leaf, allow_unused=True)
        seen["gradient of theta"] = torch.zeros_like(leaf) if gradient is None else gradient
    return seen | {"theta is as before": torch.equal(leaf, theta)} | describe_model(model)


def cut_by_counting(theta: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """With a place that moves on."""
    begin, parts = 0, {}
    for name, parameter in model.named_parameters():
        end = begin + parameter.numel()
        parts[name] = theta[begin:end].reshape(parameter.shape)
        begin = end
    return parts


def cut_into_the_model(theta: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """Lets the model's own parameters hold the numbers."""
    nn.utils.vector_to_parameters(theta.detach(), model.parameters())
    return dict(model.named_parameters())


def cut_from_the_start(theta: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """Each part from the first entry on."""
    return {name: theta[: old.numel()].view_as(old) for name, old in model.named_parameters()}


def cut_at_the_last_size(theta: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """Each part from where the last one alone would end."""
    begin, parts = 0, {}
    for name, old in model.named_parameters():
        parts[name] = theta[begin : begin + old.numel()].reshape(old.shape)
        begin = old.numel()
    return parts


def cut_with_buffers(theta: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """Keeps room for buffers as well, of which theta has none."""
    begin, parts = 0, {}
    for name, value in model.state_dict().items():
        parts[name] = theta[begin : begin + value.numel()].reshape(value.shape)
        begin += value.numel()
    return parts


def cut_by_alphabet(theta: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """In the order of the names."""
    begin, parts = 0, {}
    for name, old in sorted(model.named_parameters()):
        parts[name] = theta[begin : begin + old.numel()].reshape(old.shape)
        begin += old.numel()
    return parts


def needs_room_for_buffers(seen: Sequence[Observations]) -> bool:
    """Whether the model with buffers alone stops it, for theta is too short then, or names of buffers come out."""
    stopped = [label for label, shown in zip(MODELS, seen, strict=True) if "raised" in shown]
    return stopped == ["buffers that are no parameters"] or any(
        "running_mean" in name for shown in seen for name in shown.get("names", ())
    )


test_unflatten_parameters = exercise(
    reference=parameters.unflatten_parameters,
    cases=model_cases,
    observe=cut_vector,
    accepts=[cut_by_counting],
    mistakes=[
        *instead_of(
            "part.view_as(old)",
            {
                "part.detach().view_as(old)": ("cuts the gradient off", "gradients flow from the parts to theta"),
                "part.clone().detach().requires_grad_(True).view_as(old)": (
                    "makes new leaves",
                    "the parts are calculated from theta",
                ),
                "part.view(old.shape[::-1]).T": (
                    "fills each part column by column",
                    "each parameter is cut row by row",
                ),
            },
        ),
        Mistake("writes into the model", function=cut_into_the_model, why="the model lends names and shapes, no more"),
        Mistake(
            "begins each part at 0", function=cut_from_the_start, why="a part begins where the one before it ended"
        ),
        Mistake(
            "forgets how far it has come",
            function=cut_at_the_last_size,
            why="a part begins where the one before it ended: the sizes of all before it, added up",
        ),
        Mistake(
            "keeps room for buffers",
            function=cut_with_buffers,
            why="theta holds the parameters alone: named_parameters, not state_dict",
            shows=needs_room_for_buffers,
        ),
        Mistake(
            "sorts the parameters by name",
            function=cut_by_alphabet,
            why="they follow each other in the order of model.named_parameters()",
        ),
    ],
)


def answers(function: Callable[..., Any], case: Case) -> Observations:
    """Outputs, their gradient with respect to theta and to the inputs, and the model."""
    model = make(case)
    generator = torch.Generator().manual_seed(5)
    dtype = next(model.parameters()).dtype
    n_params = sum(p.numel() for p in model.parameters())
    theta = draw(generator, n_params).to(dtype).requires_grad_(True)
    inputs = draw(generator, 6, 3).to(dtype).requires_grad_(True)
    result = function(model, theta, inputs)
    seen: Observations = {"outputs": result.detach()}
    gradients = (
        torch.autograd.grad(result.sin().sum(), [theta, inputs], allow_unused=True) if result.requires_grad else ()
    )
    seen["gradients reach"] = [name for name, g in zip(("theta", "inputs"), gradients, strict=False) if g is not None]
    if seen["gradients reach"] == ["theta", "inputs"]:
        seen["gradient of theta"], seen["gradient of inputs"] = gradients
    return seen | describe_model(model)


def answers_by_stateless(model: nn.Module, theta: Tensor, inputs: Tensor) -> Tensor:
    """With parts cut here."""
    sizes = [p.numel() for p in model.parameters()]
    parts = {
        name: part.reshape(p.shape)
        for (name, p), part in zip(model.named_parameters(), theta.split(sizes), strict=True)
    }
    result: Tensor = torch.func.functional_call(model, parts, inputs)
    return result


def answers_by_copying(model: nn.Module, theta: Tensor, inputs: Tensor) -> Tensor:
    """Writes into the model, then calls it."""
    nn.utils.vector_to_parameters(theta.detach(), model.parameters())
    result: Tensor = model(inputs)
    return result


CALL = "functional_call(model, unflatten_parameters(theta, model), (inputs,))"
test_outputs_at = exercise(
    reference=parameters.outputs_at,
    cases=model_cases,
    observe=answers,
    accepts=[answers_by_stateless],
    mistakes=[
        *instead_of(
            CALL,
            {
                "model(inputs)": ("uses the model's own parameters", "the parameters are those in theta"),
                CALL.replace("(theta,", "(theta.detach(),"): (
                    "cuts theta off",
                    "gradients flow from the outputs to theta",
                ),
                CALL.replace("(inputs,)", "(inputs.detach(),)"): (
                    "cuts the inputs off",
                    "the inputs go in as they are",
                ),
                f"{CALL}.softmax(dim=-1)": ("adds a softmax", "the outputs are what the model answers, logits here"),
            },
        ),
        Mistake(
            "writes theta into the model",
            function=answers_by_copying,
            why="the model stays as it is, and theta gets gradients",
        ),
    ],
)
