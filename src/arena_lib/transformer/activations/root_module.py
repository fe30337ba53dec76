"""Hooks and caches for a module of your own: a toy model, a policy, anything with hook points in it.

    class MLP(HookedRootModule):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = nn.Linear(3, 8), nn.Linear(8, 2)
            self.hook_hidden = HookPoint()
            self.setup()

        def forward(self, x):
            return self.out(self.hook_hidden(self.hidden(x).relu()))

    output, cache = MLP().run_with_cache(x)
    cache["hook_hidden"]

A point inside a submodule is called by its path: "layers.0.hook_hidden".

Raises:  ConfigError for a module without hook points; what `hooks.py` and `recorder.py` raise.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: hook points are attributes, not submodules; cached tensors are references, not detached copies.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.transformer.activations.derived import Derivation, record
from arena_lib.transformer.activations.hooks import HookedModel, HookSpec, NamesFilter
from arena_lib.transformer.activations.recorder import Recorder
from arena_lib.transformer.activations.slices import PosSlice


class HookedRootModule(HookedModel):
    """A module with `HookPoint`s as attributes, of its own or of its submodules; `setup` names them."""

    derivations: dict[str, Derivation] = {}  # noqa: RUF012 -- nothing follows from anything here, and stays so

    def setup(self) -> None:
        """Find and name the hook points: call it where `__init__` ends, and again if points are added later."""
        self.name_hooks()
        if not self.hook_dict:
            raise ConfigError(
                f"a hooked module must have a hook point: got {type(self).__name__} without any. Set self.hook_x = "
                "HookPoint(), and pass what it should see through it: x = self.hook_x(x)."
            )

    def __getattr__(self, name: str) -> Tensor | nn.Module | Any:
        """A parameter or submodule; hook points that nobody named yet are named when they are first looked for."""
        if name == "hook_dict":
            self.setup()
            return self.__dict__["hook_dict"]
        return super().__getattr__(name)

    def run_with_hooks(
        self,
        *inputs: Any,
        fwd_hooks: Iterable[HookSpec] = (),
        bwd_hooks: Iterable[HookSpec] = (),
        **options: Any,
    ) -> Any:
        """What the module gives for these inputs with hooks attached, each `(name or test of names, function)`."""
        with self.hooks(fwd_hooks, bwd_hooks):
            return self(*inputs, **options)

    def run_with_cache(
        self,
        *inputs: Any,
        names_filter: NamesFilter = None,
        device: str | torch.device | None = None,
        remove_batch_dim: bool = False,
        incl_bwd: bool = False,
        pos_slice: PosSlice = None,
        **options: Any,
    ) -> tuple[Any, dict[str, Tensor]]:
        """What the module gives, and the activations that `names_filter` picks (all, if None), by name.

        `incl_bwd` adds the gradient of the output, which is one number, with respect to each, under its name
        and "_grad". `pos_slice` picks along the axis before the last.
        """
        recorder = Recorder(pos_slice, device, incl_bwd)
        with record(self, names_filter, recorder):
            output = self(*inputs, **options)
        if incl_bwd:
            recorder.add_gradients(output)
        if not remove_batch_dim:
            return output, dict(recorder)
        lengths = {tensor.shape[:1] for tensor in recorder.values()}
        if lengths - {torch.Size([1])}:
            raise ShapeError(
                f"the batch must have length 1 to be removed: got {sorted(map(tuple, lengths))}. Run the module on one example."
            )
        return output, {name: tensor[0] for name, tensor in recorder.items()}
