"""Transformers: the plain lesson forms, the fast forms, and what samples them.

`lesson` and `lesson_llama` hold the classes that learners write. The fast forms `GPT2`, `Llama`
and `AttentionOnly` read the same weights and add hooks, a cache and exchange with Hugging Face.
"""

from arena_lib.transformer.activations.cache import ActivationCache
from arena_lib.transformer.activations.hooks import HookPoint, get_act_name
from arena_lib.transformer.activations.lens_view import lens_view
from arena_lib.transformer.activations.root_module import HookedRootModule
from arena_lib.transformer.beam_search import Beams
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.generation import WritingConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.lesson_conversion import from_lesson
from arena_lib.transformer.fast.llama import LinearScaling, Llama, Llama3Scaling, LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.padding import last_real, pad_left
from arena_lib.transformer.fast.text.calls import Output
from arena_lib.transformer.huggingface import (
    from_huggingface,
    load_pretrained,
    save_pretrained,
    to_huggingface,
)
from arena_lib.transformer.lesson import Config, DemoTransformer
from arena_lib.transformer.lesson_llama import DemoLlama
from arena_lib.transformer.logprobs import compute_token_logprobs
from arena_lib.transformer.loss import cross_entropy_next_token, next_token_logprobs
from arena_lib.transformer.sampling import SamplingConfig, TransformerSampler
from arena_lib.transformer.tokens.tokenizer import BPETokenizer

__all__ = [
    "GPT2",
    "ActivationCache",
    "AttentionOnly",
    "AttentionOnlyConfig",
    "BPETokenizer",
    "Beams",
    "Config",
    "DemoLlama",
    "DemoTransformer",
    "GPT2Config",
    "HookPoint",
    "HookedRootModule",
    "LinearScaling",
    "Llama",
    "Llama3Scaling",
    "LlamaConfig",
    "Output",
    "SamplingConfig",
    "Transformer",
    "TransformerSampler",
    "WritingConfig",
    "compute_token_logprobs",
    "cross_entropy_next_token",
    "from_huggingface",
    "from_lesson",
    "get_act_name",
    "last_real",
    "lens_view",
    "load_pretrained",
    "next_token_logprobs",
    "pad_left",
    "save_pretrained",
    "to_huggingface",
]
