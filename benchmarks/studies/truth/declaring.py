"""What the truth study trains and scores: the search, in the order in which it was made, and the chosen settings.

Weights of sparsity were chosen in the search, so that each variant has about the L0 of TopK's k.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from arena_lib.saes.truth import TruthConfig

MODEL = "tiny-llama"
SEEDS = (0, 1, 2, 3, 4)
"""What is reported."""
SEARCH_SEED = 100
"""Of the autoencoders of the search."""
SEARCHED = ("name", "mood word", "full stop", "after a name", "the next word is an answer", "subject", "kind of text")
"""Variables of the search."""
SEARCH_WORLDS = TruthConfig(
    seed=1, n_fit=1500, n_validation=800, n_test=1500, min_positive=150, variables=SEARCHED
)  # fmt: skip
FINAL_WORLDS = TruthConfig(seed=2, n_fit=4000, n_validation=1000, n_test=4000)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One autoencoder: where it reads, what it is, and how long it learns."""

    name: str
    """What tables call it."""
    hook: str
    """Where it reads."""
    hook_out: str = ""
    """Where a transcoder's target is."""
    variant: str = "topk"
    """As `saes/training/variants.py` names it; "random" is a TopK that isn't trained."""
    d_sae: int = 512
    """Latents."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the variant."""
    n_steps: int = 1200
    """Updates."""
    batch_size: int = 1024
    """Activations of an update."""
    end_to_end_steps: int = 0
    """Updates after that, on the model's predictions."""
    why: str = ""
    """In the search: what was asked."""

    @property
    def layer(self) -> int:
        """The layer of its hook."""
        return int(self.hook.split(".")[1])


def resid(layer: int) -> str:
    """The residual stream after a layer."""
    return f"blocks.{layer}.hook_resid_post"
