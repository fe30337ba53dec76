"""Adapters beside the weights of any model, in place: what reads such a weight reads the sum.

An adapted module goes on holding its weight, frozen, under the same name; reading the attribute (`self.W_QKV`, or
`self.weight` in an nn.Linear) gives weight + A B * alpha / rank, with gradients for A and B. So every computation that the
model makes with the weight takes part, hooks and stacked weights included, and nobody needs to know of adapters. Only what
an activation cache makes of W_O or W_out after a pass is refused if these have adapters: call `remove(keep=True)` first.

Shapes:  those of the weights
Raises:  ConfigError for settings that can't work, for a model that has adapters already, and for reading merged weights
         that have changed since, or whose adapters have; UnknownNameError for a target that isn't there.
Source:  Hu et al. 2021, arXiv:2106.09685, section 4; reading a parameter as a function of others: torch.nn.utils.parametrize.
Differs: the sum is a weight, not an output (the paper's equation 3 before multiplying x out). The results are the same;
         a backward pass makes each adapted weight's whole gradient on its way to A and B, which it frees at once.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.device import at_least_float32
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.rlhf.lora.adapter import Lora, check_settings
from arena_lib.rlhf.lora.matrices import Matrix, list_matrices, pick_matrices


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Which weights get adapters, and of what size."""

    targets: tuple[str, ...] = ("W_Q", "W_V")
    """Names of matrices, or the ends of names: of `list_matrices(model)`. The paper adapts queries and values (section 7.1)."""
    rank: int = 4
    """Columns of A and rows of B."""
    alpha: float = 32.0
    """The adapters' sum is multiplied by alpha / rank."""
    dropout: float = 0.0
    """Share of each adapter's inputs that a training pass leaves out."""
    seed: int = 0
    """Of the first values of A; B starts at 0."""

    def __post_init__(self) -> None:
        check_settings(self.rank, self.alpha, self.dropout)
        if isinstance(self.targets, str) or not self.targets:
            raise ConfigError(
                f'targets must be a tuple of names: got {self.targets!r}. Write for example ("W_Q", "W_V").'
            )


class Sums:
    """What an adapted module reads in place of its parameters: each one plus its adapters, unless they are off."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[Matrix, Lora]]] = {}
        self.kept: dict[str, tuple[tuple[int, ...], Tensor]] = {}
        """While merged: each sum, and the versions of the weight and the adapters that it was made of."""
        self.is_on = True

    def read(self, parameter: str, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The sum, or the weight alone while adapters are off."""
        if not self.is_on:
            return weight
        if parameter not in self.kept:
            return self.add(parameter, weight)
        versions, merged = self.kept[parameter]
        if versions != self.versions(parameter, weight):
            raise ConfigError(
                f"adapters and weights must stay as they are while merged: got changed ones for {parameter}. Call unmerge() before "
                "you train or load them."
            )
        return merged

    def add(self, parameter: str, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The weight plus what its adapters give; the weight stays as it is."""
        total = weight.clone()
        for matrix, lora in self.parts[parameter]:
            region = matrix.region(total)
            region.add_(matrix.arrange(lora.delta(), region))
        return total

    def versions(self, parameter: str, weight: Float[Tensor, "..."]) -> tuple[int, ...]:
        """How often the weight and each of its adapters have been written to."""
        factors = [factor for _, lora in self.parts[parameter] for factor in (lora.A, lora.B)]
        return tuple(written._version for written in (weight, *factors))


class Adapted(nn.Module):
    """What `attach_lora` adds to the class of a module: state dicts speak of the weights themselves."""

    _sums: Sums

    def _save_to_state_dict(self, *args: Any) -> None:
        with switched_off([self]):
            super()._save_to_state_dict(*args)

    def _load_from_state_dict(self, *args: Any) -> None:
        with switched_off([self]):
            super()._load_from_state_dict(*args)


def make_reader(parameter: str) -> property:
    """An attribute that gives the sum where the parameter alone would be."""

    def read(module: Adapted) -> Tensor:
        weight = module._parameters[parameter]
        assert weight is not None
        return module._sums.read(parameter, weight)

    return property(read)


@contextlib.contextmanager
def switched_off(modules: Iterable[Adapted]) -> Iterator[None]:
    """Within this, these modules' weights are read without adapters."""
    before = [(module._sums, module._sums.is_on) for module in modules]
    for sums, _ in before:
        sums.is_on = False
    try:
        yield
    finally:
        for sums, was_on in before:
            sums.is_on = was_on


class Adapters(nn.Module):
    """All adapters of a model, which holds them as `model.lora`; made by `attach_lora`.

    `adapters["blocks.0.attn.W_Q"]` is one of them, a `Lora`. `adapters.parameters()` is what trains.
    """

    def __init__(self, model: nn.Module, cfg: LoraConfig, matrices: dict[str, Matrix]) -> None:
        super().__init__()
        self.cfg, self.matrices = cfg, matrices
        # In tuples, so that torch doesn't count the model as a part of its own part.
        self._model = (model,)
        self._trained = tuple(name for name, weight in model.named_parameters() if weight.requires_grad)
        self._owners: dict[str, Adapted] = {}
        generator = make_generator(cfg.seed)
        for name, matrix in matrices.items():
            self.add_module(to_key(name), self._make_lora(matrix, generator))
        for module_name in dict.fromkeys(matrix.module_name for matrix in matrices.values()):
            self._owners[module_name] = self._adapt(module_name)
        model.requires_grad_(False)

    def _make_lora(self, matrix: Matrix, generator: torch.Generator) -> Lora:
        """An adapter where the weight is; float32 beside weights of half precision, which would lose small steps."""
        weight = self._model[0].get_submodule(matrix.module_name)._parameters[matrix.parameter]
        assert weight is not None
        cfg, dtype = self.cfg, at_least_float32(weight[:0]).dtype
        lora = Lora(
            matrix.d_in, matrix.d_out, cfg.rank, cfg.alpha, None, dtype, dropout=cfg.dropout, generator=generator
        )
        return lora.to(weight.device)

    def _adapt(self, module_name: str) -> Adapted:
        module: Any = self._model[0].get_submodule(module_name)
        sums = Sums()
        for matrix in self.matrices.values():
            if matrix.module_name == module_name:
                sums.parts.setdefault(matrix.parameter, []).append((matrix, self[matrix.name]))
        cls = type(module)
        readers = {parameter: make_reader(parameter) for parameter in sums.parts}
        # The class's own name: what describes models by it, such as a checkpoint, sees no other model.
        named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
        module._sums = sums
        module.__class__ = type(cls.__name__, (Adapted, cls), {**named, **readers})
        return module

    def __getitem__(self, name: str) -> Lora:
        if name not in self.matrices:
            raise UnknownNameError("adapted matrix", name, self.matrices)
        lora = self.get_submodule(to_key(name))
        assert isinstance(lora, Lora)
        return lora

    def forward(self, x: Any) -> Any:
        """What it gets: an nn.Sequential, whose last part the adapters become, calls each of its parts."""
        return x

    @property
    def model(self) -> nn.Module:
        """The model that these adapters belong to."""
        return self._model[0]

    @torch.no_grad()
    def merge(self) -> None:
        """Make every sum once and keep it, so that passes cost what they cost without adapters; not for training.

        It's the same sum that is read unmerged, apart from dropout, and the weights themselves stay as they are. The sums
        take the memory of the adapted weights once more. Merging again makes them anew.
        """
        was_training = self.training
        self.eval()
        for module in self._owners.values():
            sums, weights = module._sums, module._parameters
            held = {parameter: weight for parameter in sums.parts if (weight := weights[parameter]) is not None}
            sums.kept = {
                parameter: (sums.versions(parameter, weight), sums.add(parameter, weight))
                for parameter, weight in held.items()
            }
        self.train(was_training)

    def unmerge(self) -> None:
        """Forget the kept sums: adapters train again, and the weights are, bit for bit, what they always were."""
        for module in self._owners.values():
            module._sums.kept = {}

    @contextlib.contextmanager
    def merged(self) -> Iterator[None]:
        """Merged within this; for sampling, where each token reads every weight again."""
        self.merge()
        try:
            yield
        finally:
            self.unmerge()

    @contextlib.contextmanager
    def disabled(self) -> Iterator[None]:
        """Within this the model is what it was without adapters: the reference that needs no second copy."""
        with switched_off(self._owners.values()):
            yield

    @torch.no_grad()
    def remove(self, *, keep: bool) -> None:
        """Make the model an ordinary one again, which trains what it trained before.

        With `keep` the sums are written into its weights; without, the weights are, bit for bit, what they always were.
        """
        if keep:
            self.merge()
        for module in self._owners.values():
            for parameter, (_, total) in module._sums.kept.items() if keep else ():
                weight = module._parameters[parameter]
                assert weight is not None
                weight.copy_(total)
            module.__class__ = type(module).__mro__[2]
            del module._sums
        del self.model.lora
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(name in self._trained)


def to_key(name: str) -> str:
    """A matrix's name as the name of a submodule, in which torch allows no full stop."""
    return name.replace(".", "/")


def attach_lora(model: nn.Module, cfg: LoraConfig | None = None) -> Adapters:
    """Put an adapter beside each target, in place, and freeze all else; at first the model computes what it did.

    The adapters are in `model.parameters()` and in its state dict, as `lora.*`, so trainers and checkpoints need to know
    nothing; the other entries of the state dict are the weights themselves. While adapters are attached, what is read
    of an adapted weight is a new tensor: writing into it changes nothing.

    >>> model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    >>> adapters = attach_lora(model, LoraConfig(targets=("0",), rank=2))
    >>> [name for name, weight in model.named_parameters() if weight.requires_grad]
    ['lora.0.A', 'lora.0.B']
    """
    cfg = cfg or LoraConfig()
    if hasattr(model, "lora") or any(isinstance(module, Adapters | Adapted) for module in model.modules()):
        raise ConfigError(
            f"a model must have no adapters yet, nor another part called lora: got {type(model).__name__} with one. "
            "Call remove(keep=True), or keep=False, on its adapters first."
        )
    adapters = Adapters(model, cfg, pick_matrices(list_matrices(model), cfg.targets))
    model.add_module("lora", adapters)
    return adapters.train(model.training)
