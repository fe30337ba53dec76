"""LoRA on attention by hooks: the plain form, in which each adapter can be seen at work beside its weight.

Hooks at q, k and v add what an adapter makes of the vector that attention reads; a hook at attention's output adds what one
makes of z. While no hook is attached the model is what it was, so the reference of a KL penalty costs no second model.
`attach_lora` does the same to weights instead of outputs: faster, for any module and with merging; trainers take that form.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab", values "batch seq"
Raises:  ConfigError for settings that can't work, and for the attention-only form; what the transformer raises.
Source:  Hu et al. 2021, arXiv:2106.09685, equation 3 (a term beside the output of a weight) and section 4.2 (attention alone).
Differs: each query, key and value head has an adapter of its own, so the whole matrix changes by more than `rank`.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import einops
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError
from arena_lib.rlhf.lora.adapter import Lora
from arena_lib.rlhf.value_head import TransformerWithValueHead
from arena_lib.transformer.activations.hooks import HookPoint, HookSpec
from arena_lib.transformer.fast.attention_only import AttentionOnly
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import Mask
from arena_lib.transformer.lesson import Config
from arena_lib.transformer.lesson_llama import LlamaConfig


class LoraHooks(nn.Module):
    """The adapters of one attention layer, and the hooks that add what they give.

    Four parts, each a `Lora` of this `rank`, `lora_alpha` and `dtype`:

    - `lora_q`: one for each of cfg.n_heads query heads, from d_model to d_head.
    - `lora_k` and `lora_v`: one for each key and value head. There are cfg.n_kv_heads of these where the config has that
      field (grouped queries), else cfg.n_heads.
    - `lora_out`: a single one beside W_O, from n_heads * d_head to d_model.

    `layer_idx` is kept, for `fwd_hooks`. When the hooks run, what adapters read is there as `attn_in` "batch seq d_model",
    the normalised residual stream, and `z` "batch seq n_heads d_head", both in the adapters' dtype.
    """

    attn_in: Tensor
    z: Tensor

    def __init__(
        self,
        layer_idx: int,
        cfg: Config | LlamaConfig,
        lora_alpha: float | int = 32,
        rank: int = 4,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.layer_idx = layer_idx
        n_kv_heads = getattr(cfg, "n_kv_heads", cfg.n_heads)
        self.lora_q = Lora(cfg.d_model, cfg.d_head, rank, lora_alpha, cfg.n_heads, dtype)
        self.lora_k = Lora(cfg.d_model, cfg.d_head, rank, lora_alpha, n_kv_heads, dtype)
        self.lora_v = Lora(cfg.d_model, cfg.d_head, rank, lora_alpha, n_kv_heads, dtype)
        self.lora_out = Lora(cfg.n_heads * cfg.d_head, cfg.d_model, rank, lora_alpha, None, dtype)

    def lora_hook_qkv(
        self, qkv_hook_out: Float[Tensor, "batch seq n_heads d_head"], hook: HookPoint
    ) -> Float[Tensor, "batch seq n_heads d_head"]:
        """Q, k or v plus what its adapters make of `attn_in`, which each head reads whole; in the dtype of `qkv_hook_out`.

        `hook.name` says which of the three it is: "blocks.0.attn.hook_k", for example.
        """
        loras = {"hook_q": self.lora_q, "hook_k": self.lora_k, "hook_v": self.lora_v}
        lora = loras[hook.name.split(".")[-1]]
        n_heads = qkv_hook_out.shape[2]
        copies = einops.repeat(self.attn_in, "batch seq d_model -> batch seq n_heads d_model", n_heads=n_heads)
        return qkv_hook_out + lora(copies).to(qkv_hook_out.dtype)

    def lora_hook_out(
        self, attn_out: Float[Tensor, "batch seq d_model"], hook: HookPoint
    ) -> Float[Tensor, "batch seq d_model"]:
        """Attention's output plus what `lora_out` makes of all heads' `z` side by side; in the dtype of `attn_out`."""
        z = einops.rearrange(self.z, "batch seq n_heads d_head -> batch seq (n_heads d_head)")
        return attn_out + self.lora_out(z).to(attn_out.dtype)

    def keep_z(self, z: Float[Tensor, "batch seq n_heads d_head"], hook: HookPoint) -> None:
        """A hook at `hook_z`: keeps it for `lora_hook_out`."""
        self.z = z.to(self.lora_out.A.dtype)

    def forget(self, attn_out: Float[Tensor, "batch seq d_model"], hook: HookPoint) -> None:
        """A hook after the last one: what was kept isn't needed any more, and would hold a whole pass in memory."""
        del self.attn_in, self.z

    def fwd_hooks(self, gain: Callable[[Tensor], Tensor]) -> list[HookSpec]:
        """All hooks of the layer in the order in which they run.

        `gain` is that of the layer's ln1: its hook_normalized sees vectors before the gain, attention reads them after it.
        """

        def keep_attn_in(normalized: Tensor, hook: HookPoint) -> None:
            self.attn_in = gain(normalized).to(self.lora_q.A.dtype)

        block = f"blocks.{self.layer_idx}"
        return [
            (f"{block}.ln1.hook_normalized", keep_attn_in),
            *((f"{block}.attn.hook_{part}", self.lora_hook_qkv) for part in "qkv"),
            (f"{block}.attn.hook_z", self.keep_z),
            (f"{block}.hook_attn_out", self.lora_hook_out),
            (f"{block}.hook_attn_out", self.forget),
        ]


class TransformerWithValueHeadLora(TransformerWithValueHead):
    """A model with a value head in which only the head and adapters of attention train.

    `base_model` stays frozen and, called by itself, is the model as it was: the reference. `lora` has the `LoraHooks` of
    each layer once `setup_lora` was called; before that there are no adapters, and everything trains.
    """

    def __init__(self, base_model: Transformer, *, generator: torch.Generator | None = None) -> None:
        super().__init__(base_model, generator=generator)
        if isinstance(base_model, AttentionOnly):
            raise ConfigError(
                "q, k and v must read one vector, as these adapters do: got the attention-only form, whose q and k also see "
                "positions. Use attach_lora."
            )
        self.lora = nn.ModuleList()

    def setup_lora(self, lora_alpha: float | int = 32, rank: int = 4) -> None:
        """Freeze every parameter of `base_model`, and fill `lora` with new `LoraHooks`, one for each layer.

        The value head goes on training. Adapters are where the base model is, and have its dtype, or float32 if that is of
        half precision. Called again, it makes new adapters in place of the old ones.
        """
        self.base_model.requires_grad_(False)
        weight = self.base_model.embed.W_E
        dtype = at_least_float32(weight[:0]).dtype
        hooks = [LoraHooks(layer_idx, self.cfg, lora_alpha, rank, dtype) for layer_idx in range(self.cfg.n_layers)]
        self.lora = nn.ModuleList(hooks).to(weight.device)

    @contextlib.contextmanager
    def adapted(self) -> Iterator[None]:
        """Within this every pass of `base_model` has the adapters; afterwards no hook is left, even after an error.

        `base_model.hooks(pairs)` is a context manager of the kind that is needed; `LoraHooks.fwd_hooks` has the pairs of a
        layer, for the gain of the block's ln1: `block.ln1.gain`.
        """
        layers: Any = zip(self.lora, self.base_model.blocks, strict=False)
        pairs = [pair for lora, block in layers for pair in lora.fwd_hooks(block.ln1.gain)]
        with self.base_model.hooks(pairs):
            yield

    def forward_with_value_head(
        self, tokens: Int[Tensor, "batch seq"], attention_mask: Mask | None = None
    ) -> tuple[Float[Tensor, "batch seq d_vocab"], Float[Tensor, "batch seq"]]:
        """Logits and values of the adapted model: what TransformerWithValueHead gives, within `adapted`."""
        with self.adapted():
            return super().forward_with_value_head(tokens, attention_mask)

    def generate(
        self,
        tokens: Int[Tensor, "batch seq"],
        max_new_tokens: int = 10,
        *,
        attention_mask: Mask | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Int[Tensor, "batch seq_all"]:
        """The tokens and what the adapted model writes after them, by `base_model.generate`, which takes the same arguments.

        `options` are temperature, top_k, top_p and the like; without them the likeliest token is chosen.
        """
        with self.adapted():
            written: Any = self.base_model.generate(
                tokens, max_new_tokens, attention_mask=attention_mask, generator=generator, **options
            )
        return cast(Tensor, written)
