"""Every setting of the truth study: the search in its order, and what was chosen."""

from typing import Any

from benchmarks.studies.truth.declaring import Setting, resid


def _trial(name: str, why: str, layer: int, **more: Any) -> Setting:
    return Setting(name=name, why=why, **{"hook": resid(layer), "own": {"k": 12}} | more)


SPARSER = "fewer latents at a time?"
WIDER = "a wider dictionary?"
LONGER = "a longer run?"
NESTED = "dictionaries inside each other, against splitting?"
EQUAL = "which weight gives an L0 of 12?"
LAYERS = tuple(_trial(f"layer {layer}, 512, k 12", "at which layer?", layer) for layer in (0, 1, 2))
END_TO_END = _trial(
    "layer 1, 512, k 12, then 200 steps end to end",
    "the model's predictions as the objective?",
    1,
    end_to_end_steps=200,
)
TRANSCODER = _trial(
    "layer 1, skip transcoder of the MLP, 512, k 12",
    "what an MLP does?",
    1,
    hook="blocks.1.ln2.hook_normalized",
    hook_out="blocks.1.hook_mlp_out",
    variant="topk-skip-transcoder",
)
SEARCH = (
    *LAYERS,
    _trial("layer 1, 512, k 6", SPARSER, 1, own={"k": 6}),
    _trial("layer 1, 2048, k 12", WIDER, 1, d_sae=2048),
    _trial("layer 1, jumprelu 1.0", EQUAL, 1, variant="jumprelu", own={"l0_coef": 1.0}),
    _trial("layer 1, relu 3.0", EQUAL, 1, variant="relu", own={"l1_coef": 3.0}),
    _trial("layer 1, gated 3.0", EQUAL, 1, variant="gated", own={"l1_coef": 3.0}),
    _trial("layer 1, jumprelu 0.45, batch 512", EQUAL, 1, variant="jumprelu", own={"l0_coef": 0.45}, batch_size=512),
    _trial("layer 1, relu 2.2, batch 512", EQUAL, 1, variant="relu", own={"l1_coef": 2.2}, batch_size=512),
    _trial("layer 1, gated 2.1, batch 512", EQUAL, 1, variant="gated", own={"l1_coef": 2.1}, batch_size=512),
    _trial("layer 1, batch-topk, k 12, batch 512", EQUAL, 1, variant="batch-topk", batch_size=512),
    _trial("layer 1, matryoshka, 2048, k 12, batch 512", NESTED, 1, variant="matryoshka", d_sae=2048, batch_size=512),
    _trial(
        "layer 1, matryoshka, 512 with 16 and 64 inside, k 12, batch 512",
        NESTED,
        1,
        variant="matryoshka",
        own={"k": 12, "widths": (16, 64, 512)},
        batch_size=512,
    ),
    END_TO_END,
    TRANSCODER,
)
LAYER = 1
"""Where names, answers to come and the kind of text are all linearly there."""
WEIGHTS: dict[str, dict[str, Any]] = {
    "topk": {"k": 12},
    "batch-topk": {"k": 12},
    "matryoshka": {"k": 12},
    "jumprelu": {"l0_coef": 0.37},
    "relu": {"l1_coef": 2.2},
    "gated": {"l1_coef": 2.45},
}
"""Interpolated between trials of the search, for an L0 of 12."""
WIDE = "matryoshka, 2,048 wide"
"""What the search chose, beside the variants of equal width and L0."""
FINAL = (
    Setting(name="random", hook=resid(LAYER), variant="random", own={"k": 12}),
    *(
        Setting(name=variant, hook=resid(LAYER), variant=variant, own=own, batch_size=512)
        for variant, own in WEIGHTS.items()
    ),
    Setting(name=WIDE, hook=resid(LAYER), variant="matryoshka", d_sae=2048, own={"k": 12}, batch_size=512),
)
