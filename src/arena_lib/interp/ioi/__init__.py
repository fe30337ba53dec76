"""Indirect object identification: the data set, the heads by what they do, and the circuit that they make."""

from arena_lib.interp.ioi.prompts import (
    ENGLISH,
    STORYWORLD,
    IOIDataset,
    IOIPrompt,
    IOIWords,
    keep_single_tokens,
    make_ioi_dataset,
)

__all__ = [
    "ENGLISH",
    "STORYWORLD",
    "IOIDataset",
    "IOIPrompt",
    "IOIWords",
    "keep_single_tokens",
    "make_ioi_dataset",
]
