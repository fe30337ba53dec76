import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.puzzles.predicting import predict_shape


@pytest.mark.parametrize(
    ("predicted", "says"),
    [
        ((2, 3), "Right: (2, 3)."),
        ([2, 3], "Right: (2, 3)."),
        ((3, 2), "Not yet: you said (3, 2), it is (2, 3). The sizes are right, their order isn't."),
        ((2,), "Not yet: you said (2,), it is (2, 3). It has 2 axes, not 1."),
        ((2, 4), "Not yet: you said (2, 4), it is (2, 3). Axis 1 has size 3, not 4."),
        ("error", "Not yet: you said that the sizes don't fit, but they do. It is (2, 3)."),
    ],
)
def test_a_prediction_is_compared_in_words(predicted, says):
    prediction = predict_shape(predicted, lambda: torch.zeros(2, 3))
    assert repr(prediction) == says
    assert prediction.is_right == says.startswith("Right")
    assert prediction.output.shape == (2, 3)


def test_sizes_that_do_not_fit_may_be_predicted():
    assert repr(predict_shape("error", torch.add, torch.ones(2), torch.ones(3))) == "Right: it raises RuntimeError."
    wrong = predict_shape((2, 3), torch.add, torch.ones(2), torch.ones(3))
    assert not wrong.is_right
    assert repr(wrong).startswith("Not yet: you said (2, 3), but the sizes don't fit: The size of tensor a (2)")


def test_arguments_numbers_and_arrays_of_numpy_will_do():
    assert predict_shape((), lambda: torch.tensor(1.0)).is_right
    assert predict_shape((3,), np.sum, np.ones((2, 3)), axis=0).is_right


def test_an_exercise_that_is_not_written_stays_so():
    def not_written():
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        predict_shape("error", not_written)


@pytest.mark.usefixtures("without_types")
@pytest.mark.parametrize("shape", [3, (2, -1), (2, True), "wrong", (2.0, 3), None])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(ConfigError, match=r"must be a tuple of whole numbers, or \"error\": got"):
        predict_shape(shape, lambda: torch.zeros(2))


@pytest.mark.usefixtures("without_types")
def test_a_result_in_place_of_a_function_and_a_result_without_a_shape_are_refused():
    with pytest.raises(ConfigError, match=r"got Tensor. Write lambda in front"):
        predict_shape((2,), torch.zeros(2))
    with pytest.raises(ShapeError, match="must return a tensor or an array: got list"):
        predict_shape((2,), lambda: [1, 2])
