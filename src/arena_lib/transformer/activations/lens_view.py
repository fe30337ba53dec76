"""A model as TransformerLens's own utilities want to see it: the fields of its config by their names.

    from transformer_lens import patching
    results = patching.get_act_patch_resid_pre(lens_view(model), corrupted_tokens, clean_cache, metric)

Everything else is the model's own. Nothing is copied: the view follows the model, also to another device.

Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens.
Differs: inputs by head need no switch (`set_use_split_qkv_input` does nothing): they are made while something hooks them.
"""

from typing import Any

import torch


class LensConfig:
    """A model's config with the fields of TransformerLens's beside its own."""

    use_split_qkv_input = True
    use_attn_in = False
    use_attn_result = True
    use_hook_mlp_in = True

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        """A field of the model's own config."""
        if name.startswith("_"):  # while a copy is being made there is no model yet
            raise AttributeError(name)
        return getattr(self._model.cfg, name)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._model.W_U.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are made of."""
        return self._model.W_U.dtype

    @property
    def model_name(self) -> str:
        """The form's name: "GPT2", "Llama"."""
        return type(self._model).__name__

    @property
    def n_key_value_heads(self) -> int | None:
        """Heads with keys and values of their own where queries share them, else None."""
        n_kv_heads = getattr(self._model.cfg, "n_kv_heads", None)
        return None if n_kv_heads == self._model.cfg.n_heads else n_kv_heads

    @property
    def attn_only(self) -> bool:
        """Whether there are no MLPs."""
        return not any(name.endswith("hook_mlp_out") for name in self._model.hook_dict)

    @property
    def gated_mlp(self) -> bool:
        """Whether the MLPs have gates."""
        return any(name.endswith("hook_pre_linear") for name in self._model.hook_dict)

    @property
    def default_prepend_bos(self) -> bool:
        """Whether texts get a begin token unless a call says otherwise."""
        return self._model.default_prepend_bos


class LensView:
    """A model whose `cfg` has TransformerLens's fields; all else is the model's own."""

    def __init__(self, model: Any) -> None:
        self._model, self.cfg = model, LensConfig(model)

    def __getattr__(self, name: str) -> Any:
        """What the model has under this name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model, name)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """What the model gives."""
        return self._model(*inputs, **options)

    def set_use_split_qkv_input(self, use_split_qkv_input: bool) -> None:
        """Do nothing: inputs by head are there without a switch."""


def lens_view(model: Any) -> LensView:
    """The model for utilities that read TransformerLens's config."""
    return LensView(model)
