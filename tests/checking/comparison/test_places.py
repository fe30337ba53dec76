import re

import numpy as np
import pytest

from arena_lib.checking.comparison.places import find_place


def wrong(*shape: int, at) -> np.ndarray:
    array = np.zeros(shape, dtype=bool)
    array[at] = True
    return array


@pytest.mark.parametrize(
    ("array", "axes", "place"),
    [
        (wrong(3, 5, at=np.s_[:, 4]), "batch seq", "only at the last position (position 4)"),
        (wrong(3, 5, at=np.s_[:, 0]), "batch seq", "only at the first position (position 0)"),
        (wrong(3, 2, at=np.s_[:, 1]), "seq pair", "only at pair 1"),
        (wrong(3, 5, at=np.s_[1, 4]), "batch seq", None),
        (wrong(3, 5, at=np.s_[2, 4]), "batch seq", None),
        (wrong(5, at=np.s_[4]), "seq", "only at the last position (position 4)"),
        (wrong(5, at=np.s_[3]), "seq", None),
        (wrong(5, at=np.s_[2:4]), "seq", None),
        (wrong(5, at=np.s_[1:4]), "seq", "only at positions 1 to 3"),
        (wrong(3, 12, at=np.s_[:, 3:9]), "batch seq", "only at positions 3 to 8"),
        (wrong(3, 12, at=np.s_[:, 1::3]), "batch seq", "only at positions 1, 4, 7, 10"),
        (wrong(3, 12, at=np.s_[:, [0, 1, 2, 5, 6]]), "batch seq", None),
        (wrong(4, 6, 7, at=np.s_[1:3, 2, :]), "batch seq d_model", "only at batch = 1, 2 and position 2"),
        (wrong(4, 6, 7, at=np.s_[:, 5, 1:]), "batch seq d_model", "only at position 5 and d_model from 1 to 6"),
        (wrong(4, 5, at=np.s_[3]), "axis 0 axis 1", "only at the last row (row 3)"),
        (wrong(4, 5, at=np.s_[:, 2:4]), "axis 0 axis 1", "only at columns 2, 3"),
        (wrong(8, at=np.s_[3:7]), "axis 0", "only at entries 3 to 6"),
        (wrong(4, 5, 6, at=np.s_[3]), "axis 0 axis 1 axis 2", "only at the last index of axis 0 (axis 0 = 3)"),
        (np.ones((2, 3), dtype=bool), "batch seq", None),
        (np.zeros((2, 3), dtype=bool), "batch seq", None),
        (np.array(True), "", None),
    ],
)
def test_place(array, axes, place):
    found = find_place(array, tuple(re.findall(r"axis \d|\w+", axes)))
    assert (found and found[0]) == place


def test_half_of_a_place_must_be_wrong():
    array = np.zeros((8, 40), dtype=bool)
    array[:, 7][:3] = True
    assert find_place(array, ("batch", "seq")) == ("only at batch from 0 to 2 and position 7", True)
    scattered = np.zeros((8, 40), dtype=bool)
    scattered[[0, 2, 5, 7], [3, 8, 13, 21]] = True
    assert find_place(scattered, ("batch", "seq")) is None


def test_a_fixed_place_is_named_where_chance_cannot_explain_it():
    array = np.zeros((30, 6), dtype=bool)
    array[[1, 4, 9, 16, 25], 5] = True
    assert find_place(array, ("batch", "seq")) == ("only at the last position (position 5)", False)
    array[[4, 9, 16, 25], 5] = False
    assert find_place(array, ("batch", "seq")) is None


def test_diagonals_need_axes_that_index_the_same_thing():
    upper = np.triu(np.ones((6, 6), dtype=bool), 1)
    assert find_place(upper, ("seq_q", "seq_k")) == ("only positions after the query (seq_k > seq_q)", True)
    assert find_place(upper.T, ("seq_q", "seq_k")) == ("only positions before the query (seq_k < seq_q)", True)
    assert find_place(~upper, ("seq_q", "seq_k")) == ("only positions up to the query (seq_k <= seq_q)", True)
    assert find_place(~upper.T, ("seq_q", "seq_k")) == (
        "only the query's own and later positions (seq_k >= seq_q)",
        True,
    )
    assert find_place(upper.T, ("in_i", "in_j")) == ("only below the diagonal (in_j < in_i)", True)
    assert find_place(upper, ("axis 0", "axis 1")) == ("only above the diagonal (axis 1 > axis 0)", True)
    for axes in (("batch", "seq"), ("n_heads", "n_layers"), ("d_in", "d_out")):
        assert "diagonal" not in str(find_place(upper, axes))


def test_the_next_and_the_previous_position():
    beyond = np.eye(5, k=1, dtype=bool)
    assert find_place(beyond, ("seq_q", "seq_k")) == ("only where seq_k = seq_q + 1", True)
    assert find_place(beyond.T, ("seq_q", "seq_k")) == ("only where seq_k = seq_q - 1", True)


def test_indices_here_and_there_are_named_only_where_all_of_them_are_wrong():
    array = wrong(6, 12, at=np.s_[:, [0, 3, 4, 9]])
    assert find_place(array, ("batch", "seq")) == ("only at positions 0, 3, 4, 9", True)
    array[1, 3] = False
    assert find_place(array, ("batch", "seq")) is None


def test_a_box_is_named_only_where_it_is_wrong_throughout():
    array = wrong(4, 6, 7, at=np.s_[1:3, 2:4, 5])
    assert find_place(array, ("batch", "seq", "d_vocab")) == ("only at batch = 1, 2, positions 2, 3 and token 5", True)
    array[1, 2, 5] = False
    assert " and " not in (find_place(array, ("batch", "seq", "d_vocab")) or [""])[0]
    assert find_place(wrong(4, 6, 7, at=np.ix_([0, 2], [1, 4], [5])), ("batch", "seq", "d_vocab")) is None
