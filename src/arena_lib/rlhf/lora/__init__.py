"""Low-rank adaptation (LoRA): train two thin matrices beside each weight, and leave the weight as it is.

adapters = attach_lora(model, LoraConfig(targets=("W_Q", "W_V"), rank=4))   model trains its adapters alone
with adapters.merged(): ...                         sums made once: for sampling, which reads the weights often
with adapters.disabled(): ...                       the model as it was: the reference of a KL penalty or of DPO
save_adapters(adapters, "my-adapter")               PEFT's two files, which `peft` opens
load_adapters(model, "my-adapter")                  what is in them, also if `peft` wrote them
adapters.remove(keep=True)                          an ordinary model again, with the adapters' sums in its weights

TransformerWithValueHeadLora(model) is the same by hooks on attention, written to be read (`hooks`).
"""

from arena_lib.rlhf.lora.adapter import Lora
from arena_lib.rlhf.lora.attaching import Adapters, LoraConfig, attach_lora
from arena_lib.rlhf.lora.hooks import LoraHooks, TransformerWithValueHeadLora
from arena_lib.rlhf.lora.matrices import list_matrices
from arena_lib.rlhf.lora.peft_files import load_adapters, save_adapters

__all__ = [
    "Adapters",
    "Lora",
    "LoraConfig",
    "LoraHooks",
    "TransformerWithValueHeadLora",
    "attach_lora",
    "list_matrices",
    "load_adapters",
    "save_adapters",
]
