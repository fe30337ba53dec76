"""A tiny language model with random weights, tokens for it, and stores and trainers on it."""

from typing import Any

import torch

from arena_lib.core.batches import ShuffledBatches
from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.store import ActivationStore, StoreConfig
from arena_lib.saes.training.trainer import SAETrainer
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

D_MODEL, D_MLP, D_VOCAB, SEQ, N_LAYERS = 6, 10, 13, 7, 3
RESID, MLP_IN, MLP_OUT = "blocks.1.hook_resid_post", "blocks.1.hook_resid_mid", "blocks.1.hook_mlp_out"
TOKENS = torch.randint(D_VOCAB, (40, SEQ), generator=make_generator(5))


def make_model() -> Llama:
    cfg = LlamaConfig(
        d_model=D_MODEL,
        n_layers=N_LAYERS,
        n_heads=2,
        n_kv_heads=1,
        d_head=4,
        d_mlp=D_MLP,
        d_vocab=D_VOCAB,
        n_ctx=SEQ + 2,
        init_range=0.4,
    )
    return Llama(cfg, generator=make_generator(0))


def make_store(model: Any = None, hook_name: str = RESID, source: Any = None, **fields: Any) -> ActivationStore:
    hook_name_out = fields.pop("hook_name_out", "")
    cfg = StoreConfig(**{"batch_size": 10, "chunk_batches": 4, "dtype": "float32", "is_scaled": False, **fields})
    source = ShuffledBatches(TOKENS, 3) if source is None else source
    return ActivationStore(model or make_model(), hook_name, source, cfg, hook_name_out=hook_name_out)


def make_sae(**fields: Any) -> TopKSAE:
    return TopKSAE(TopKSAEConfig(**{"d_in": D_MODEL, "d_sae": 17, "k": 2, **fields}), make_generator(1))


def configure(**fields: Any) -> SAETrainingConfig:
    usual = {"n_steps": 24, "lr": 0.02, "log_every": 4, "checkpoint_every": 6, "dead_window": 5, "seed": 3}
    return SAETrainingConfig(**{**usual, **fields})


def make_trainer(folder: Any = None, *, sae: Any = None, store: Any = None, evaluate: Any = None, **fields: Any):
    return SAETrainer(sae or make_sae(), store or make_store(is_scaled=True), configure(**fields), evaluate, folder)
