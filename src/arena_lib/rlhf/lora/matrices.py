"""Which weights of a model are matrices that inputs are multiplied by, and where each lies in its parameter.

A parameter may hold several (our fused W_QKV holds W_Q, W_K and W_V side by side), or one whose axes are split by head.
Here each has a name and a form: "d_in d_out", the input axis first.

Shapes:  a matrix is "d_in d_out", whatever axes its parameter has
Raises:  UnknownNameError for a name that no matrix has.
Source:  own derivation.
Differs: tables that are looked up in (embeddings, positions) aren't listed, and neither are weights that several modules
         share: an adapter of one would change the other.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import UnknownNameError
from arena_lib.transformer.fast.attention import FusedAttention

Form = Literal["in out", "out in", "heads in out", "heads in split"]
"""How a parameter's axes make a matrix: as it is; transposed, as in nn.Linear; "n_heads d_model d_head" with the heads
among the outputs; "n_heads d_head d_model" with the heads among the inputs."""

LOOKED_UP = ("W_E", "W_pos")
"""Our embeddings: tokens and positions pick their rows."""


@dataclass(frozen=True)
class Matrix:
    """A matrix "d_in d_out" within a parameter."""

    name: str
    """Its name in the model, such as blocks.0.attn.W_Q."""
    module_name: str
    """The module that holds the parameter."""
    parameter: str
    """The parameter's name there, such as W_QKV."""
    form: Form
    """How the parameter's axes make the matrix."""
    d_in: int
    """Rows: what an input has entries."""
    d_out: int
    """Columns: what an output has entries."""
    start: int = 0
    """Its first column, where the parameter holds more than this matrix."""

    def region(self, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The part of the parameter that the matrix fills: a view."""
        return weight.narrow(1, self.start, self.d_out) if self.form == "in out" else weight

    def arrange(self, delta: Float[Tensor, "d_in d_out"], like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """A matrix of this size with the axes of `region(weight)`, which `like` shows."""
        if self.form == "in out":
            return delta
        if self.form == "out in":
            return delta.T
        if self.form == "heads in split":
            return delta.unflatten(0, like.shape[:2])
        return delta.unflatten(1, (like.shape[0], like.shape[2])).movedim(1, 0)


def list_matrices(model: nn.Module) -> dict[str, Matrix]:
    """Every matrix of the model by its name; those of torch's own layers are called as their module is.

    >>> list(list_matrices(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))))
    ['0', '2']
    """
    held = [(name, module, *item) for name, module in model.named_modules() for item in module._parameters.items()]
    n_holders = Counter(id(weight) for *_, weight in held if weight is not None)
    matrices = [
        matrix
        for module_name, module, parameter, weight in held
        if weight is not None and n_holders[id(weight)] == 1
        for matrix in _matrices_of(module_name, module, parameter, weight)
    ]
    return {matrix.name: matrix for matrix in matrices}


def _matrices_of(module_name: str, module: nn.Module, parameter: str, weight: Tensor) -> Iterator[Matrix]:
    shape = tuple(weight.shape)
    name = module_name if module_name and parameter == "weight" else f"{module_name}.{parameter}".removeprefix(".")
    if isinstance(module, nn.Embedding) or parameter in LOOKED_UP:
        return
    if isinstance(module, FusedAttention) and parameter == "W_QKV":
        widths = [n_heads * module.d_head for n_heads in (module.n_heads, module.n_kv_heads, module.n_kv_heads)]
        for i, part in enumerate(("W_Q", "W_K", "W_V")):
            yield Matrix(
                f"{module_name}.{part}", module_name, parameter, "in out", shape[0], widths[i], sum(widths[:i])
            )
    if parameter == "W_O" and len(shape) == 3:
        yield Matrix(name, module_name, parameter, "heads in split", shape[0] * shape[1], shape[2])
    elif parameter in ("W_Q", "W_K", "W_V") and len(shape) == 3:
        yield Matrix(name, module_name, parameter, "heads in out", shape[1], shape[0] * shape[2])
    elif isinstance(module, nn.Linear) and parameter == "weight":
        yield Matrix(name, module_name, parameter, "out in", shape[1], shape[0])
    elif len(shape) == 2:
        yield Matrix(name, module_name, parameter, "in out", *shape)


def pick_matrices(matrices: dict[str, Matrix], targets: Iterable[str]) -> dict[str, Matrix]:
    """Those whose name, or the end of it after a full stop, is among `targets`.

    >>> model = nn.ModuleDict({"mlp": nn.ModuleDict({"up": nn.Linear(3, 4), "down": nn.Linear(4, 3)})})
    >>> list(pick_matrices(list_matrices(model), ["up"]))
    ['mlp.up']
    """
    targets = list(targets)
    picked: dict[str, Matrix] = {}
    for target in targets:
        named = {name: matrix for name, matrix in matrices.items() if f".{name}".endswith(f".{target}")}
        if not named:
            ends = sorted({name.rpartition(".")[2] for name in matrices})
            raise UnknownNameError("matrix", target, ends, matrices)
        picked |= named
    return {name: matrix for name, matrix in matrices.items() if name in picked}
