"""Small models in float64 with SAEs of every width that analysis takes, and texts for them."""

from types import SimpleNamespace

import pytest
import torch
from tests.interp.patching.conftest import D_VOCAB, make_bridge, make_random
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.transformer.fast.model import Transformer

RESID = "blocks.1.hook_resid_pre"
Z = "blocks.1.attn.hook_z"
MLP_IN, MLP_OUT = "blocks.1.ln2.hook_normalized", "blocks.1.hook_mlp_out"
PAD = D_VOCAB - 1


class WordTokenizer:
    """One word for each token; the last one begins texts."""

    bos_token_id = PAD
    eos_token_id = None

    def decode(self, ids: list[int]) -> str:
        return "".join(f" w{token_id}" for token_id in ids)

    def encode(self, text: str) -> list[int]:
        return [int(word[1:]) for word in text.split()]


def make_sae(hook_name: str = RESID, *, d_sae: int = 37, k: int = 5, seed: int = 1, d_in: int = 24) -> TopKSAE:
    """A random SAE in float64 whose every weight matters."""
    sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k, hook_name=hook_name), make_generator(seed))
    generator = make_generator(seed + 1)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return sae.double()


def make_transcoder() -> TopKSAE:
    """A random transcoder of an MLP."""
    places = {"hook_name": MLP_IN, "hook_name_out": MLP_OUT}
    cfg = TopKSAEConfig(d_in=24, d_sae=41, d_out=24, subtract_b_dec=False, k=6, **places)
    return TopKSAE(cfg, make_generator(5)).double()


def make_texts(n_texts: int = 11, seq: int = 8, seed: int = 3) -> Tensor:
    """Random texts, each of which begins with the token that does so."""
    tokens = torch.randint(0, PAD, (n_texts, seq), generator=make_generator(seed))
    tokens[:, 0] = PAD
    return tokens


@pytest.fixture
def llama() -> Transformer:
    model = make_random("llama")
    model.tokenizer = WordTokenizer()
    return model


@pytest.fixture
def sae() -> TopKSAE:
    return make_sae()


@pytest.fixture
def texts() -> Tensor:
    return make_texts()


@pytest.fixture
def bridge() -> object:
    return make_bridge("llama")


@pytest.fixture
def sizes() -> SimpleNamespace:
    return SimpleNamespace(d_model=24, n_heads=4, d_head=6, d_vocab=D_VOCAB)
