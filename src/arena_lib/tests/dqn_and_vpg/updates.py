"""Judges of section 2.2's updates: of the target network, and of the trained one on a batch.

Shapes:  batches of transitions "batch"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import targets, training
from arena_lib.rl.dqn.replay import ReplayBatch

__test__ = False


class TwoLayers(nn.Module):
    """Two matrices and biases, given."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def update_target_network_cases(generator: torch.Generator) -> list[Case]:
    """Small steps, a copy, no step at all, a target that isn't trained."""
    runs = [
        ("a tenth of the way", 0.1, False),
        ("most of the way", 0.75, False),
        ("a copy", 1.0, False),
        ("no step", 0.0, False),
        ("a target whose parameters have requires_grad=False", 0.3, True),
    ]
    return [
        Case(label=label, call=f"target_network, q_network, {tau}", given={"tau": tau, "is_frozen": is_frozen})
        for label, tau, is_frozen in runs
    ]


def networks_after(function: Callable[..., Any], case: Case) -> Observations:
    """Both networks after a call, and whether what is trained later shows in the target."""
    generator = torch.Generator().manual_seed(8)
    target, online = TwoLayers(generator), TwoLayers(generator)
    target.requires_grad_(not case.given["is_frozen"])
    own = {parameter.data_ptr() for parameter in online.parameters()}
    output = function(target, online, case.given["tau"])
    return {
        "output": f"a network of type {type(output).__name__}" if isinstance(output, nn.Module) else output,
        **{f"target_network's {name}": value.detach().clone() for name, value in target.named_parameters()},
        **{f"q_network's {name}": value.detach().clone() for name, value in online.named_parameters()},
        "the networks share tensors": any(parameter.data_ptr() in own for parameter in target.parameters()),
        "a parameter became part of a graph": not all(parameter.is_leaf for parameter in target.parameters()),
        "parameters of target_network that are trained": sum(p.requires_grad for p in target.parameters()),
    }


def update_by_state_dict(target_network: nn.Module, q_network: nn.Module, tau: float) -> None:
    """Makes a new state and loads it."""
    old, new = target_network.state_dict(), q_network.state_dict()
    target_network.load_state_dict({name: (1 - tau) * old[name] + tau * new[name] for name in old})


def update_one_by_one(target_network: nn.Module, q_network: nn.Module, tau: float) -> None:
    """Goes from parameter to parameter."""
    for slow, fast in zip(target_network.parameters(), q_network.parameters(), strict=True):
        slow.data.mul_(1 - tau).add_(tau * fast.data)


PAIRS = "zip(target_network.parameters(), q_network.parameters(), strict=True)"
EACH = f"for slow, fast in {PAIRS}:\n            "
LERP = f"{EACH}slow.lerp_(fast, tau)"

test_update_target_network = exercise(
    reference=targets.update_target_network,
    cases=update_target_network_cases,
    observe=networks_after,
    accepts=[update_by_state_dict, update_one_by_one, targets.update_target_network_at_once],
    mistakes=[
        *instead_of(
            LERP,
            {
                f"{EACH}fast.lerp_(slow, tau)": (
                    "moves the trained network",
                    "q_network doesn't change: the target follows it",
                ),
                f"{EACH}slow.lerp_(fast, 1 - tau)": (
                    "takes tau for the share that is kept",
                    "the new target is (1 - tau) of the old one and tau of the trained network",
                ),
                f"{EACH}slow.lerp_(fast, 1.0)": ("always copies", "the target moves by the share tau only"),
                f"{EACH}slow.data = fast.data": (
                    "shares the tensors of the trained network",
                    "the target must keep tensors of its own, or it changes with every training step",
                ),
                f"{EACH}slow = (1 - tau) * slow + tau * fast": (
                    "changes nothing",
                    "an assignment to a loop's variable leaves the network as it is: write in place, with copy_ or lerp_",
                ),
                f"{EACH}if slow.ndim > 1:\n                slow.lerp_(fast, tau)": (
                    "leaves out the biases",
                    "every parameter follows, also those with one axis",
                ),
                f"{EACH}slow.add_(tau * fast)": (
                    "adds without taking away",
                    "the old target counts only 1 - tau, or the parameters would grow without end",
                ),
                f"for slow, fast in list({PAIRS})[:2]:\n            slow.lerp_(fast, tau)": (
                    "moves the first layer only",
                    "every parameter follows",
                ),
                f"for slow, fast in list({PAIRS})[2:]:\n            slow.lerp_(fast, tau)": (
                    "moves the last layer only",
                    "every parameter follows",
                ),
                f"{EACH}if slow.requires_grad:\n                slow.lerp_(fast, tau)": (
                    "leaves out parameters with requires_grad=False",
                    "every parameter follows; a target network isn't trained, so its own often don't ask for gradients",
                ),
                f"{EACH}slow.data = fast.data if tau == 1 else slow.lerp(fast, tau)": (
                    "shares the trained network's tensors where tau is 1",
                    "a copy has tensors of its own, or it changes with every training step: copy_, not an assignment",
                ),
                f"{EACH}slow.lerp_(fast, 0.5)": ("always goes half of the way", "the target moves by the share tau"),
                f"{EACH}slow.copy_(tau * fast)": (
                    "forgets the old target",
                    "the new target is (1 - tau) of the old one and tau of the trained network",
                ),
                f"{LERP}\n        return target_network": (
                    "returns the target network",
                    "it is changed in place, and nothing is returned",
                ),
                f"{EACH}slow.lerp_(fast, -tau)": (
                    "moves away from the trained network",
                    "the difference online - target, times tau, is added",
                ),
                f"{EACH}slow.mul_(1 - tau).add_(fast.mul_(tau))": (
                    "changes the trained network while it computes",
                    "mul_ writes in place, and q_network doesn't change: multiply its parameters by tau with *",
                ),
                f"{EACH}slow.add_(fast.mul_(tau))": (
                    "adds without taking away, and changes the trained network",
                    "the old target counts only 1 - tau, and q_network doesn't change: multiply its parameters with *, not mul_",
                ),
            },
        ),
        Mistake(
            "records gradients while it writes",
            "with torch.no_grad():",
            "if True:",
            why="a parameter that is trained can't be written in place unless torch.no_grad() says that nothing is recorded",
            raises="RuntimeError",
        ),
    ],
)


def train_on_batch_cases(generator: torch.Generator) -> list[Case]:
    """Two optimizers; old gradients; weights; a gradient that is clipped."""
    runs: list[tuple[str, Any, bool, bool, float]] = [
        ("three steps of SGD", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.5), False, False, 100.0),
        ("three steps of Adam, with weights", lambda p: torch.optim.Adam(p, lr=0.02), False, True, 100.0),
        ("gradients that were there before", lambda p: torch.optim.SGD(p, lr=0.05), True, False, 100.0),
        ("a gradient that is too long", lambda p: torch.optim.SGD(p, lr=0.3), False, True, 0.4),
    ]
    cases = []
    for label, optimizer, has_old, has_weights, norm in runs:
        batches = [make_batch(generator, has_weights) for _ in range(3)]
        given = {"optimizer": optimizer, "has_old": has_old, "norm": norm, "batches": batches}
        cases.append(Case(label=label, call=f"q_network, optimizer, batch, targets, {norm}", given=given))
    return cases


def make_batch(generator: torch.Generator, has_weights: bool) -> tuple[ReplayBatch, Tensor]:
    """Six transitions and their targets."""
    weights = torch.rand(6, generator=generator) + 0.3 if has_weights else None
    batch = ReplayBatch(
        obs=torch.randn(6, 3, generator=generator),
        actions=torch.randint(0, 2, (6,), generator=generator),
        rewards=torch.randn(6, generator=generator),
        terminated=torch.arange(6) == 2,
        next_obs=torch.randn(6, 3, generator=generator),
        n_ahead=torch.ones(6, dtype=torch.int64),
        rows=torch.arange(6),
        weights=weights,
    )
    return batch, 3 * torch.randn(6, generator=generator)


def three_updates(function: Callable[..., Any], case: Case) -> Observations:
    """Losses, errors and weights over three updates."""
    torch.manual_seed(3)
    first, last = nn.Linear(3, 5), nn.Linear(5, 2)
    network = nn.Sequential(first, nn.Tanh(), last)
    optimizer = case.given["optimizer"](network.parameters())
    if case.given["has_old"]:
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
    losses, errors = [], []
    for batch, aims in case.given["batches"]:
        loss, error = function(network, optimizer, batch, aims.clone(), case.given["norm"])
        losses.append(loss)
        errors.append(error)
    return {
        "loss of each update": [x.detach() if isinstance(x, Tensor) else x for x in losses],
        "errors of each update": [x.detach() if isinstance(x, Tensor) else x for x in errors],
        "a result carries a graph": any(getattr(x, "requires_grad", False) for x in losses + errors),
        "the network's bias afterwards": last.bias.detach().clone(),
        "the network's first weights afterwards": first.weight.detach().clone(),
    }


def train_by_hand(
    q_network: nn.Module, optimizer: torch.optim.Optimizer, batch: ReplayBatch, aims: Tensor, max_grad_norm: float
) -> Any:
    """Writes loss and clipping out."""
    q_network.zero_grad()
    errors = aims - q_network(batch.obs)[torch.arange(len(aims)), batch.actions]
    loss = (errors**2 * (1.0 if batch.weights is None else batch.weights)).mean()
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in q_network.parameters() if p.grad is not None]).norm()
    for parameter in q_network.parameters():
        if parameter.grad is not None:
            parameter.grad *= min(1.0, max_grad_norm / (float(norm) + 1e-6))
    optimizer.step()
    return loss.detach(), errors.detach()


CLIP = "    nn.utils.clip_grad_norm_(q_network.parameters(), max_grad_norm)\n"
ORDER = "the order is: clear the gradients, backward, clip, step"

test_train_on_batch = exercise(
    reference=training.train_on_batch,
    cases=train_on_batch_cases,
    observe=three_updates,
    accepts=[train_by_hand],
    mistakes=[
        *instead_of(
            f"    optimizer.zero_grad()\n    loss.backward()\n{CLIP}    optimizer.step()\n",
            {
                f"    loss.backward()\n{CLIP}    optimizer.step()\n": (
                    "never clears the gradients",
                    "backward adds to what is there: without zero_grad each step also takes all earlier ones again",
                ),
                f"    loss.backward()\n{CLIP}    optimizer.step()\n    optimizer.zero_grad()\n": (
                    "clears the gradients only after the step",
                    "gradients may lie there before the call: clear them before backward",
                ),
                f"    loss.backward()\n    optimizer.zero_grad()\n{CLIP}    optimizer.step()\n": (
                    "doesn't change the weights",
                    f"the optimizer's step is missing, or the gradients were cleared before it: {ORDER}",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n": (
                    "doesn't clip the gradient before the step",
                    f"one surprising batch would throw the network far away; {ORDER}",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n"
                "    nn.utils.clip_grad_value_(q_network.parameters(), max_grad_norm)\n    optimizer.step()\n": (
                    "clips each entry by itself",
                    "the whole gradient is scaled down, so that its direction stays",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n    for parameter in q_network.parameters():\n"
                "        nn.utils.clip_grad_norm_([parameter], max_grad_norm)\n    optimizer.step()\n": (
                    "clips each parameter by itself",
                    "the norm is that of all parameters together, so that the gradient's direction stays",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n"
                "    nn.utils.clip_grad_norm_(q_network.parameters(), 1.0)\n    optimizer.step()\n": (
                    "always clips at 1",
                    "the largest norm is an argument, max_grad_norm",
                ),
                "    optimizer.zero_grad()\n    loss.backward()\n"
                "    norm = nn.utils.clip_grad_norm_(q_network.parameters(), float('inf'))\n"
                "    for parameter in q_network.parameters():\n"
                "        parameter.grad.mul_(max_grad_norm / norm)\n    optimizer.step()\n": (
                    "gives every gradient the norm max_grad_norm",
                    "a gradient whose norm is smaller stays as it is",
                ),
                f"    optimizer.zero_grad()\n    (len(targets) * loss).backward()\n{CLIP}    optimizer.step()\n": (
                    "takes the gradient of the sum over the batch",
                    "the loss of compute_td_loss is the mean, and its gradient is taken",
                ),
                f"    optimizer.zero_grad()\n    (-loss).backward()\n{CLIP}    optimizer.step()\n": (
                    "climbs instead of descending",
                    "the optimizer already goes against the gradient",
                ),
            },
        ),
        *instead_of(
            "compute_td_loss(q_network(batch.obs), batch.actions, targets, batch.weights)",
            {
                "compute_td_loss(q_network(batch.next_obs), batch.actions, targets, batch.weights)": (
                    "takes the values of the next observations",
                    "the action was chosen for batch.obs, so it's the value there that was predicted",
                ),
                "compute_td_loss(q_network(batch.obs), batch.actions, targets)": (
                    "ignores the batch's weights",
                    "batch.weights say how much each transition counts",
                ),
                "compute_td_loss(q_network(batch.obs), batch.actions, batch.rewards, batch.weights)": (
                    "takes the rewards as targets",
                    "a target is the reward and the value of what follows; here the targets are given",
                ),
                "compute_td_loss(\n        q_network(batch.obs), q_network(batch.obs).argmax(-1), targets, batch.weights\n    )": (
                    "takes the best action in place of the one that was taken",
                    "the reward followed batch.actions",
                ),
            },
        ),
        *instead_of(
            "return loss.detach(), errors",
            {
                "return loss, errors": (
                    "returns the loss with its graph",
                    "the loss is detached; else a list of losses would keep every batch's activations in memory",
                ),
                "return errors, loss.detach()": ("swaps loss and errors", "the order is loss, errors"),
                "return loss.item(), errors": (
                    "returns the loss as a plain number",
                    "a tensor is asked for; .item() also waits for the device at each step",
                ),
                "return loss.detach(), errors.abs()": (
                    "returns the errors without their sign",
                    "the errors are those of compute_td_loss, and may be negative",
                ),
                "with torch.no_grad():\n"
                "        return compute_td_loss(q_network(batch.obs), batch.actions, targets, batch.weights)": (
                    "returns loss and errors of after the step",
                    "both are those that the step was made from",
                ),
            },
        ),
        Mistake(
            "returns the loss after the step",
            "return loss.detach(), errors",
            "return compute_td_loss(q_network(batch.obs), batch.actions, targets, batch.weights)[0].detach(), errors",
            why="the result is the loss that the step was made from",
        ),
    ],
)
