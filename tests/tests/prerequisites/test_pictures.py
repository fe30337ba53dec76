"""What learners hand in for the pictures: by torch alone, and wrong in one likely way each."""

import importlib

import einops
import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.prerequisites")

RIGHT = {
    "side_by_side": lambda images: torch.hstack([image.mT for image in images]).mT,
    "stack_down": lambda images: einops.rearrange(list(images), "b c h w -> c (b h) w"),
    "turn_right": lambda image: image.transpose(1, 2).flip(2),
    "enlarge": lambda image, factor: torch.kron(image, torch.ones(1, factor, factor)),
    "to_grey": lambda images: torch.einsum("bchw->bhw", images) / images.shape[1],
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_picture_made_otherwise_passes(name):
    assert run(getattr(judges, f"test_{name}"), RIGHT[name]).passed


WRONG = {
    ("side_by_side", "reshapes without moving an axis"): lambda images: images.reshape(
        images.shape[1], images.shape[2], -1
    ),
    ("side_by_side", "stacks the images down"): lambda images: torch.cat(list(images), dim=1),
    ("arrange_in_grid", "fills the columns first"): lambda images, n_rows: einops.rearrange(
        images, "(c r) k h w -> k (r h) (c w)", r=n_rows
    ),
    ("turn_right", "turns to the left"): lambda image: torch.rot90(image, 1, (1, 2)),
    ("turn_right", "mirrors at the diagonal"): lambda image: image.mT,
    ("enlarge", "repeats the whole image"): lambda image, factor: image.repeat(1, factor, factor),
    ("shrink", "takes one pixel of each square"): lambda image, factor: image[:, ::factor, ::factor],
    ("weave", "puts the images side by side"): lambda first, second: torch.cat([first, second], dim=-1),
    ("lay_over", "averages the images"): lambda images: images.mean(dim=0),
    ("show_channels", "reshapes without moving an axis"): lambda image: image.reshape(image.shape[1], -1),
}


@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_a_wrong_picture_is_named(name, mistake):
    assert run(getattr(judges, f"test_{name}"), WRONG[name, mistake]).diagnosis.mistake == mistake


def test_an_image_that_is_changed_in_place_is_noticed():
    def shrinks_in_place(image, factor):
        image.clamp_(max=0.5)
        return image[:, ::factor, ::factor]

    assert "changed image" in run(judges.test_shrink, shrinks_in_place).message
