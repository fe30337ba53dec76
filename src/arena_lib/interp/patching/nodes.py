"""The ends of a path through a model: what sends, and what receives.

A sender is something that writes to the residual stream. A receiver is something that reads it. All
forms of path patching speak of paths in these words.

Raises:  UnknownNameError for a layer, head or part that the model does not have; ConfigError for an MLP in
         a model without, for a sender that comes before no receiver, and for the final residual stream
         among other receivers.
Source:  the computational graph of Wang et al. 2022, arXiv:2211.00593, section 2.1, with queries, keys and
         values as inputs of their own.
Differs: where query heads share keys and values, the key and value of a head are those that it shares: what
         arrives there arrives for the whole group.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.interp.models import HookedLM
from arena_lib.wording import counted

Part = Literal["q", "k", "v"]
PARTS: tuple[Part, ...] = ("q", "k", "v")


@dataclass(frozen=True)
class Embed:
    """A sender: what enters the first block, the token embedding and (GPT-2) the position embedding."""

    @property
    def writes_at(self) -> int:
        """Its place in the order of all that reads and writes: before everything."""
        return -1


@dataclass(frozen=True)
class Head:
    """A sender: the output of one attention head at all positions."""

    layer: int
    head: int

    @property
    def writes_at(self) -> int:
        """Attention of a layer comes before its MLP."""
        return 2 * self.layer


@dataclass(frozen=True)
class MLP:
    """A sender: the output of one layer's MLP at all positions."""

    layer: int

    @property
    def writes_at(self) -> int:
        """The MLP of a layer comes after its attention."""
        return 2 * self.layer + 1


@dataclass(frozen=True)
class HeadInput:
    """A receiver: what makes the query, key or value of one head, counted as a query head."""

    layer: int
    head: int
    part: Part

    @property
    def reads_at(self) -> int:
        """It reads what was written before its layer."""
        return 2 * self.layer


@dataclass(frozen=True)
class MLPInput:
    """A receiver: what one layer's MLP reads."""

    layer: int

    @property
    def reads_at(self) -> int:
        """It reads its own layer's attention too."""
        return 2 * self.layer + 1


@dataclass(frozen=True)
class FinalResidual:
    """A receiver: the residual stream that the final norm reads. On its own only: it holds all that others do."""

    @property
    def reads_at(self) -> int:
        """It comes after everything."""
        return sys.maxsize


Sender = Embed | Head | MLP
Receiver = HeadInput | MLPInput | FinalResidual


def reaches(sender: Sender, receiver: Receiver) -> bool:
    """Whether the sender writes before the receiver reads.

    >>> reaches(Head(1, 0), MLPInput(1)), reaches(MLP(1), HeadInput(1, 0, "q")), reaches(Embed(), MLPInput(0))
    (True, False, True)
    """
    return sender.writes_at < receiver.reads_at


def check_list(name: str, nodes: Any) -> None:
    """Refuses a single node where several are asked for."""
    if not isinstance(nodes, Sequence):
        raise ConfigError(f"{name} must be a list of nodes: got {nodes!r}. Put one node in a list, [{nodes!r}].")


def check_nodes(lm: HookedLM, senders: Any, receivers: Any) -> None:
    """Refuses what does not exist, what no effect could reach, and no senders or receivers at all."""
    for name, nodes in (("senders", senders), ("receivers", receivers)):
        check_list(name, nodes)
        if not nodes:
            raise ConfigError(f"{name} must hold at least one node: got none. Give a list such as [Head(0, 1)].")
    for sender in senders:
        _check_kind("sender", sender, (Embed, Head, MLP))
        _check_node(lm, sender)
    for receiver in receivers:
        _check_kind("receiver", receiver, (HeadInput, MLPInput, FinalResidual))
        _check_node(lm, receiver)
    for sender in senders:
        if not any(reaches(sender, receiver) for receiver in receivers):
            raise ConfigError(
                f"a sender must come before a receiver: got {sender}, and receivers {', '.join(map(str, receivers))}. "
                "Attention of a layer comes before its MLP; take an earlier sender or a later receiver."
            )
    if FinalResidual() in receivers and len(set(receivers)) > 1:
        raise ConfigError(
            f"FinalResidual() must be the only receiver: got {counted(len(receivers), 'receiver')}. It replaces the whole stream, "
            "with all that the others changed. Patch to the others and to it in two calls."
        )


def _check_kind(role: str, node: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(node, kinds):
        names = ", ".join(kind.__name__ for kind in kinds)
        raise ConfigError(
            f"a {role} must be one of {names}: got {node!r}. Import them from arena_lib.interp.patching.nodes."
        )


def _check_node(lm: HookedLM, node: Sender | Receiver) -> None:
    if isinstance(node, Head | HeadInput):
        lm.check_heads([(node.layer, node.head)])
    if isinstance(node, HeadInput) and node.part not in PARTS:
        raise UnknownNameError("input of a head", str(node.part), PARTS)
    if isinstance(node, MLP | MLPInput):
        lm.check_layer(node.layer)
        if not lm.has_mlp:
            raise ConfigError(f"the model must have MLPs for {node}: it has attention only. Leave this node out.")
