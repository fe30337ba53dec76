import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.rl.dqn import ConvQNetwork, DuelingQNetwork, QNetwork, combine_streams


def test_layers_have_the_given_widths_and_no_relu_at_the_end():
    network = QNetwork((4,), 3, hidden_sizes=[5, 7])
    assert [tuple(p.shape) for p in network.parameters()] == [(5, 4), (5,), (7, 5), (7,), (3, 7), (3,)]
    assert isinstance(network.layers[-1], torch.nn.Linear)
    assert sum(isinstance(layer, torch.nn.ReLU) for layer in network.layers) == 2


def test_combined_advantages_have_the_states_value_as_their_mean():
    values, advantages = torch.randn(5, 1), torch.randn(5, 3)
    combined = combine_streams(values, advantages)
    torch.testing.assert_close(combined.mean(dim=-1, keepdim=True), values)
    torch.testing.assert_close(combined - combined[:, :1], advantages - advantages[:, :1])


def test_what_is_added_to_all_advantages_changes_nothing():
    values, advantages = torch.randn(2, 1), torch.randn(2, 3)
    torch.testing.assert_close(combine_streams(values, advantages + 5), combine_streams(values, advantages))


def test_a_dueling_network_has_one_state_value_and_as_many_advantages_as_actions():
    network = DuelingQNetwork((4,), 3, hidden_sizes=(6, 5))
    assert network.value.weight.shape == (1, 5)
    assert network.advantage.weight.shape == (3, 5)
    assert network(torch.randn(2, 4)).shape == (2, 3)


def test_pictures_get_values_too():
    assert ConvQNetwork((2, 10, 9), 3)(torch.randn(5, 2, 10, 9)).shape == (5, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QNetwork((2, 3), 2), r"vectors: got obs_shape \(2, 3\)"),
        (lambda: ConvQNetwork((2, 2, 9), 2), "at least 3 x 3"),
        (lambda: DuelingQNetwork((2,), 2, ()), "needs a hidden layer"),
    ],
)
def test_sizes_that_cant_work_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
