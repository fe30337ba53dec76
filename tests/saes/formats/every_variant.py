"""One small SAE of each variant, whose weights all differ from what they start as: for tests here and in the peers' environment."""

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.batch_topk import BatchTopKSAE
from arena_lib.saes.formats.saelens_fields import VARIANTS

D_IN, D_SAE, D_OUT = 6, 13, 4
BY_FIELD = {"k": 3, "l1_coef": 0.25, "l0_coef": 0.5, "widths": (4, D_SAE), "initial_threshold": 0.2, "bandwidth": 0.1}


def make_variants(is_transcoder: bool = False) -> dict[str, SAE]:
    """Every variant by its name; as transcoders, those which can be one. Thresholds lie among what latents see."""
    variants = {}
    for seed, (variant, config_class) in enumerate(VARIANTS.items()):
        must_transcode = "Transcoder" in variant.__name__
        if must_transcode and not is_transcoder:
            continue
        sizes = {"d_in": D_IN, "d_sae": D_SAE, "hook_name": "blocks.1.hook_resid_pre", "model_name": "tiny-llama"}
        if is_transcoder:
            sizes |= {"d_out": D_OUT, "subtract_b_dec": False, "hook_name_out": "blocks.1.hook_mlp_out"}
        takes = config_class.__dataclass_fields__
        sae = variant(config_class(**sizes, **{name: BY_FIELD[name] for name in BY_FIELD if name in takes}))
        generator = make_generator(seed)
        with torch.no_grad():
            for weight in sae.parameters():
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
            if isinstance(sae, BatchTopKSAE):
                sae.threshold.fill_(0.7)
        variants[variant.__name__] = sae.eval()
    return variants


def draw_acts(batch: int = 40) -> torch.Tensor:
    return torch.randn(batch, D_IN, generator=make_generator(99))
