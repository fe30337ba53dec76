"""The fast form of a model that a learner wrote, with the same weights.

Shapes:  the state dict of a lesson form, which its fast form reads as it is.
Raises:  ConfigError for a module that is no lesson model; CheckpointError for weights that do not fit its config.
Source:  own derivation.
"""

from dataclasses import fields
from typing import Any

from torch import nn

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.lesson import Config
from arena_lib.transformer.lesson_llama import LlamaConfig as LessonLlamaConfig


def from_lesson(demo: nn.Module) -> Transformer:
    """Return `GPT2` for a `DemoTransformer` and `Llama` for a `DemoLlama`, with its weights, dtype, device and mode."""
    cfg: Any = getattr(demo, "cfg", None)
    model: Transformer
    if isinstance(cfg, LessonLlamaConfig):
        sizes = {field.name: getattr(cfg, field.name) for field in fields(LessonLlamaConfig)}
        model = Llama(LlamaConfig(**sizes))
    elif isinstance(cfg, Config):
        model = GPT2(GPT2Config(**{field.name: getattr(cfg, field.name) for field in fields(Config)}))
    else:
        raise ConfigError(
            f"a lesson model must have a cfg of class Config or LlamaConfig: got {type(demo).__name__} with "
            f"{type(cfg).__name__}. Build it from arena_lib.transformer.lesson."
        )
    first = next(demo.parameters())
    model.to(device=first.device, dtype=first.dtype).load_state_dict(demo.state_dict())
    return model.train(demo.training)
