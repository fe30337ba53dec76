"""The peers of the transformer's paths, each with our model's weights.

Every function takes one of our GPT-2s and returns the peer's model on the same device in
the same dtype. It raises ImportError or `Skip` where the peer isn't installed in a
version that has what is measured.

Source:  the peers' own documentation; `NanoGPT` is written afresh after Karpathy's
         nanoGPT, github.com/karpathy/nanoGPT (one fused product for q, k and v, torch's
         attention, a tied head), which isn't a package.
"""

import tempfile
from importlib.metadata import version
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.transformer import save_pretrained, to_huggingface
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from benchmarks.harness.declaring import Skip


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device


def dtype_of(model: nn.Module) -> torch.dtype:
    """What the model's weights are stored in."""
    return next(model.parameters()).dtype


def make_huggingface(model: GPT2, *, attention: str = "sdpa") -> Any:
    """Transformers' GPT2LMHeadModel; its attention is torch's fused one unless asked otherwise."""
    twin = to_huggingface(model).eval()
    twin.set_attn_implementation(attention)
    return twin


def make_bridge(model: GPT2, *, is_compatible: bool = False) -> Any:
    """TransformerLens 4's TransformerBridge, in its compatibility mode (weights processed, all hooks) or plain."""
    try:
        from transformer_lens.model_bridge import TransformerBridge
    except ImportError as error:
        raise Skip("TransformerLens 4 is not installed here") from error

    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(model, folder)
        _save_some_tokenizer(folder, model.cfg.d_vocab)
        bridge = TransformerBridge.boot_transformers(folder, device=str(device_of(model)), dtype=dtype_of(model))
    if is_compatible:
        bridge.enable_compatibility_mode(no_processing=True)
    return bridge.eval()


def make_hooked_transformer(model: GPT2) -> Any:
    """TransformerLens 3's HookedTransformer."""
    import transformer_lens

    if int(version("transformer-lens").split(".")[0]) >= 4:
        raise Skip("HookedTransformer is measured with TransformerLens 3, in the peers' environment")
    cfg = model.cfg
    config = transformer_lens.HookedTransformerConfig(
        n_layers=cfg.n_layers,
        d_model=cfg.d_model,
        n_ctx=cfg.n_ctx,
        d_head=cfg.d_head,
        n_heads=cfg.n_heads,
        d_mlp=cfg.d_mlp,
        d_vocab=cfg.d_vocab,
        act_fn="gelu_new",
        normalization_type="LN",
        eps=cfg.layer_norm_eps,
        device=str(device_of(model)),
        dtype=dtype_of(model),
    )
    twin = transformer_lens.HookedTransformer(config)
    missing = twin.load_state_dict(model.state_dict(), strict=False).missing_keys
    weights = [name for name in missing if not name.endswith(("mask", "IGNORE"))]
    if weights:
        raise Skip(f"TransformerLens has weights under other names: {', '.join(weights[:3])}")
    return twin.eval()


def make_nnsight(model: GPT2) -> Any:
    """Nnsight around transformers' model, as its users wrap one that is loaded."""
    from nnsight import NNsight

    return NNsight(make_huggingface(model))


class NanoGPT(nn.Module):
    """GPT-2 as nanoGPT has it: the shortest fast form without hooks."""

    def __init__(self, cfg: GPT2Config) -> None:
        super().__init__()
        self.n_heads = cfg.n_heads
        self.wte, self.wpe = nn.Embedding(cfg.d_vocab, cfg.d_model), nn.Embedding(cfg.n_ctx, cfg.d_model)
        self.blocks = nn.ModuleList([NanoBlock(cfg) for _ in range(cfg.n_layers)])
        self.ln_f = nn.LayerNorm(cfg.d_model, cfg.layer_norm_eps)
        self.lm_head = nn.Linear(cfg.d_model, cfg.d_vocab, bias=False)
        if cfg.tie_embeddings:
            self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_vocab"]:
        """Logits."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class NanoBlock(nn.Module):
    """One block of `NanoGPT`."""

    def __init__(self, cfg: GPT2Config) -> None:
        super().__init__()
        self.n_heads = cfg.n_heads
        self.ln_1, self.ln_2 = (nn.LayerNorm(cfg.d_model, cfg.layer_norm_eps) for _ in range(2))
        self.c_attn, self.c_proj = nn.Linear(cfg.d_model, 3 * cfg.d_model), nn.Linear(cfg.d_model, cfg.d_model)
        self.c_fc, self.mlp_proj = nn.Linear(cfg.d_model, cfg.d_mlp), nn.Linear(cfg.d_mlp, cfg.d_model)

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream after the block."""
        batch, seq, d_model = x.shape
        heads = self.c_attn(self.ln_1(x)).view(batch, seq, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        z = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.c_proj(z.transpose(1, 2).reshape(batch, seq, d_model))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


@torch.no_grad()
def make_nanogpt(model: GPT2) -> NanoGPT:
    """`NanoGPT` with the model's weights."""
    twin = NanoGPT(model.cfg).to(device_of(model), dtype_of(model))
    weights = to_huggingface(model).state_dict()
    twin.wte.weight.copy_(weights["transformer.wte.weight"])
    twin.wpe.weight.copy_(weights["transformer.wpe.weight"])
    twin.ln_f.load_state_dict({part: weights[f"transformer.ln_f.{part}"] for part in ("weight", "bias")})
    twin.lm_head.weight.copy_(weights["lm_head.weight"])
    names = {"ln_1": "ln_1", "ln_2": "ln_2", "c_attn": "attn.c_attn", "c_proj": "attn.c_proj"}
    names |= {"c_fc": "mlp.c_fc", "mlp_proj": "mlp.c_proj"}
    for layer_idx, block in enumerate(twin.blocks):
        for ours, theirs in names.items():
            module = getattr(block, ours)
            weight = weights[f"transformer.h.{layer_idx}.{theirs}.weight"]
            module.weight.copy_(weight.T if isinstance(module, nn.Linear) else weight)
            module.bias.copy_(weights[f"transformer.h.{layer_idx}.{theirs}.bias"])
    return twin.eval()


def _save_some_tokenizer(folder: str, d_vocab: int) -> None:
    """A tokenizer of single-number words, as the bridge wants one beside the weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({f"t{i}": i for i in range(d_vocab)}, unk_token="t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="t0", unk_token="t0").save_pretrained(folder)
