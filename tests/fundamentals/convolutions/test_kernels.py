import torch

from arena_lib.fundamentals.convolutions import BLUR, EDGES_ACROSS, EDGES_DOWN, SHARPEN, conv2d


def see(picture, kernel):
    return conv2d(picture[None, None], kernel[None, None])[0, 0]


def test_blur_and_sharpen_leave_a_flat_picture_as_it_is_and_edges_give_nothing():
    flat = torch.full((5, 6), 0.7)
    for kernel, value in ((BLUR, 0.7), (SHARPEN, 0.7), (EDGES_ACROSS, 0.0), (EDGES_DOWN, 0.0)):
        torch.testing.assert_close(see(flat, kernel), torch.full((3, 4), value))


def test_edges_are_found_in_their_direction_and_signed():
    lighter_to_the_right = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(5, 4)
    assert see(lighter_to_the_right, EDGES_ACROSS).eq(4).all()
    assert see(lighter_to_the_right, EDGES_DOWN).eq(0).all()
    assert see(lighter_to_the_right.T, EDGES_DOWN).eq(4).all()
    assert see(lighter_to_the_right.flip(1), EDGES_ACROSS).eq(-4).all()
