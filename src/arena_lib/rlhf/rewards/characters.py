"""The classical first reward: how often a character occurs. It can't be misunderstood, so it shows whether learning works.

Shapes:  texts (a list) -> rewards "batch"
Raises:  ConfigError for what isn't one character.
Source:  own derivation.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError


def reward_fn_char_count(generated_sample: list[str], char: str = ".") -> Float[Tensor, " batch"]:
    """How often `char` occurs in each text, as a float.

    >>> reward_fn_char_count(["Mary left. Tom stayed.", "Nobody"])
    tensor([2., 0.])
    """
    if len(char) != 1:
        raise ConfigError(f"char must be a single character: got {char!r}. Pass '.' to count sentences, for example.")
    return torch.tensor([float(text.count(char)) for text in generated_sample])
