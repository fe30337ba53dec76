"""The small random models and autoencoders that this section's judges run.

Shapes:  tokens "batch seq" -> latents "batch seq d_sae"
"""

import torch
from torch import Tensor

from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer

__test__ = False

D_VOCAB = 19
BOS = 4
"""The token that begins a text: neither the first nor the last of the vocabulary."""
D_MODEL = 12
D_SAE = 9
RESID = "blocks.1.hook_resid_pre"
LLAMA = LlamaConfig(d_vocab=D_VOCAB, n_ctx=11, d_model=D_MODEL, n_layers=2, n_heads=4, n_kv_heads=2, d_head=6, d_mlp=7)
GPT = GPT2Config(d_vocab=D_VOCAB, n_ctx=11, d_model=D_MODEL, n_layers=2, n_heads=3, d_head=4, d_mlp=7)


class WordTokenizer:
    """One word for each token."""

    bos_token_id = BOS
    eos_token_id = None

    def decode(self, ids: list[int]) -> str:
        """The words, each with its space."""
        return "".join(f" w{token_id}" for token_id in ids)


def make_model(cfg: GPT2Config | LlamaConfig, generator: torch.Generator) -> Transformer:
    """A model in which no weight, bias or gain is zero or one, and every token is a word."""
    model: Transformer = GPT2(cfg) if isinstance(cfg, GPT2Config) else Llama(cfg)
    for parameter in model.requires_grad_(False).parameters():
        parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
    model.tokenizer = WordTokenizer()
    return model


def make_sae(
    generator: torch.Generator, hook_name: str = RESID, *, d_in: int = D_MODEL, d_sae: int = D_SAE, k: int = 3
) -> TopKSAE:
    """An autoencoder whose every weight matters."""
    sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k, hook_name=hook_name), generator)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return sae.requires_grad_(False)


def make_texts(n_texts: int, seq: int, generator: torch.Generator) -> Tensor:
    """Texts of random tokens, each of which begins with the token that does so."""
    tokens = torch.randint(5, D_VOCAB, (n_texts, seq), generator=generator)
    tokens[:, 0] = BOS
    return tokens
