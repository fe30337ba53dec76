"""Models whose sizes all differ, and adapters that change something."""

import torch

from arena_lib.rlhf.lora import attach_lora
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig


def make_llama(**changes):
    sizes = {
        "d_model": 12,
        "d_vocab": 17,
        "n_ctx": 9,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "d_head": 6,
        "d_mlp": 20,
    }
    cfg = LlamaConfig(**(sizes | {"init_range": 0.3} | changes))
    return Llama(cfg, generator=torch.Generator().manual_seed(3)).double()


def make_gpt2():
    sizes = {"d_model": 15, "d_vocab": 17, "n_ctx": 9, "n_layers": 2, "n_heads": 3, "d_head": 5, "d_mlp": 22}
    return GPT2(GPT2Config(**sizes, init_range=0.3), generator=torch.Generator().manual_seed(4)).double()


def draw_tokens(seed=0):
    return torch.randint(17, (3, 7), generator=torch.Generator().manual_seed(seed))


def attach_drawn(model, cfg):
    """Adapters whose B isn't 0, so that they change what the model computes."""
    adapters = attach_lora(model, cfg)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name in adapters.matrices:
            adapters[name].B.normal_(0.0, 0.3, generator=generator)
    return adapters
