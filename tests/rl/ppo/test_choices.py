import torch
from torch.distributions import Categorical

from arena_lib.rl.ppo.choices import Choices


def make_both(batch=7, n_actions=3):
    logits = (3 * torch.randn(batch, n_actions)).requires_grad_()
    return logits, Choices(logits), Categorical(logits=logits)


def test_logprobs_and_entropies_are_categoricals_with_their_gradients():
    logits, ours, theirs = make_both()
    actions = torch.randint(3, (7,))
    for name, of in {"log_prob": lambda dist: dist.log_prob(actions), "entropy": lambda dist: dist.entropy()}.items():
        torch.testing.assert_close(of(ours), of(theirs), msg=name)
        weights = torch.randn(7)
        gradients = [
            torch.autograd.grad((of(dist) * weights).sum(), logits, retain_graph=True)[0] for dist in (ours, theirs)
        ]
        torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5, msg=name)


def test_the_rest_of_categorical_works():
    _, ours, theirs = make_both()
    torch.testing.assert_close(ours.probs, theirs.probs)
    assert torch.equal(ours.mode, theirs.mode)
    assert ours.sample((5,)).shape == (5, 7)
    assert isinstance(ours, Categorical)
