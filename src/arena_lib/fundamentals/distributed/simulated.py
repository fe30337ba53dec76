"""A world in one process: a thread for each rank, in which torch.distributed's sends and receives are counted.

A send waits until it is received, as gloo's does. When every rank waits, that is seen at once: a deadlock is an error that says who
waits for whom, and not a program that hangs.

One rank runs at a time, until it waits or ends; then it's the next one's turn. So a run is the same each time, though all ranks share
what a process has only once, as PyTorch's global random state.

Raises:  DeadlockError when all ranks wait; ConfigError for collectives, which are to be made of sends and receives; otherwise what a
         rank raises.
Source:  own design.
Differs: threads share one memory, so nothing is copied to another process; there are no groups, tags or devices.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from arena_lib.errors import ConfigError, DeadlockError, ShapeError

TIME_LIMIT = 20.0
"""Seconds that a simulated run may take."""
COLLECTIVES = (
    "all_gather", "all_gather_into_tensor", "all_reduce", "all_to_all", "barrier", "broadcast", "gather", "reduce",
    "reduce_scatter", "reduce_scatter_tensor", "scatter",
)  # fmt: skip
"""What must be made of sends and receives here."""


@dataclass(frozen=True)
class Message:
    """What one rank sent to another."""

    src: int
    dst: int
    n_bytes: int


@dataclass(eq=False)
class _Request:
    """One side of a message: a send with the values that it had, or a receive with the tensor to write into."""

    rank: int
    peer: int | None
    tensor: Tensor
    is_send: bool
    values: Tensor | None = None
    is_done: bool = False
    unfit: str = ""
    """Why the message couldn't pass, though both sides had come."""

    def in_words(self) -> str:
        """What its rank waits for."""
        if self.is_send:
            return f"rank {self.rank} waits until rank {self.peer} receives"
        return f"rank {self.rank} waits for a message from {'any rank' if self.peer is None else f'rank {self.peer}'}"


@dataclass
class SimulatedRun:
    """What a run in a simulated world gave."""

    results: list[Any]
    """What the function returned on each rank."""
    messages: list[Message] = field(default_factory=list)
    """Every message that was received. Those between the same two ranks are in order."""
    n_lost: int = 0
    """Messages that were sent and that nobody received."""

    def bytes_sent(self) -> list[int]:
        """By each rank."""
        return [sum(m.n_bytes for m in self.messages if m.src == rank) for rank in range(len(self.results))]

    def bytes_received(self) -> list[int]:
        """By each rank."""
        return [sum(m.n_bytes for m in self.messages if m.dst == rank) for rank in range(len(self.results))]


class _World:
    """The messages of all ranks, under one lock."""

    def __init__(self, world_size: int) -> None:
        self.world_size = world_size
        self.condition = threading.Condition()
        self.open: list[_Request] = []
        self.waiting: dict[int, _Request] = {}
        self.ended: set[int] = set()
        self.turn = 0
        self.messages: list[Message] = []
        self.unfit: list[str] = []
        self.deadlock = ""
        self.local = threading.local()

    def post(self, tensor: Tensor, peer: int | None, *, is_send: bool) -> "_Work":
        """Open a request; if the other side is open already, the message passes at once."""
        rank: int = self.local.rank
        if peer is not None and not 0 <= peer < self.world_size:
            raise ConfigError(
                f"a message must go to a rank from 0 to {self.world_size - 1}, or come from one: got {peer}."
            )
        if peer == rank:
            raise ConfigError(f"rank {rank} must send to another rank, and receive from another: got its own number.")
        request = _Request(rank, peer, tensor, is_send, tensor.detach().clone() if is_send else None)
        with self.condition:
            other = next((other for other in self.open if _fit(request, other)), None)
            if other is None:
                self.open.append(request)
            else:
                self.open.remove(other)
                send, receive = (request, other) if is_send else (other, request)
                self._deliver(send, receive)
        return _Work(self, request)

    def _deliver(self, send: _Request, receive: _Request) -> None:
        """Let a message pass; one that doesn't fit is an error on both sides, whichever came last."""
        values = send.values
        assert values is not None
        receive.peer = send.rank
        send.is_done = receive.is_done = True
        if receive.tensor.numel() != values.numel() or receive.tensor.dtype != values.dtype:
            send.unfit = receive.unfit = (
                f"rank {receive.rank} must receive into a tensor like the one that rank {send.rank} sends: got "
                f"{tuple(receive.tensor.shape)} of {receive.tensor.dtype} for {tuple(values.shape)} of {values.dtype}."
            )
            self.unfit.append(send.unfit)
            return
        with torch.no_grad():
            receive.tensor.copy_(values.reshape(receive.tensor.shape))
        self.messages.append(Message(send.rank, receive.rank, values.numel() * values.element_size()))

    def wait(self, request: _Request) -> None:
        """Wait until the other side has come, or until nobody can come any more."""
        with self.condition:
            if not request.is_done:
                self.waiting[request.rank] = request
                self._look_for_deadlock()
                self._let_others_run(request.rank)
                self.waiting.pop(request.rank)
            if not request.is_done:
                raise DeadlockError(self.deadlock)
            if request.unfit:
                raise ShapeError(request.unfit)

    def ask(self, request: _Request) -> bool:
        """Whether a message has passed; others run meanwhile, so that one who asks again and again gets an answer."""
        with self.condition:
            if not request.is_done:
                self._let_others_run(request.rank)
            return request.is_done

    def begin(self, rank: int) -> None:
        """A rank waits for its first turn."""
        self.local.rank = rank
        with self.condition:
            self.condition.wait_for(lambda: self.turn == rank)

    def end(self, rank: int) -> None:
        """A rank has come to its end."""
        with self.condition:
            self.ended.add(rank)
            self._look_for_deadlock()
            self._pass_turn(rank)

    def _let_others_run(self, rank: int) -> None:
        self._pass_turn(rank)
        self.condition.wait_for(lambda: self.turn == rank)

    def _pass_turn(self, rank: int) -> None:
        """To the next rank, in a circle, that can go on."""
        for other in (*range(rank + 1, self.world_size), *range(rank + 1)):
            waits = other in self.waiting and not self.waiting[other].is_done and not self.deadlock
            if other not in self.ended and not waits:
                self.turn = other
                self.condition.notify_all()
                return

    def _look_for_deadlock(self) -> None:
        stuck = [request for request in self.waiting.values() if not request.is_done]
        if self.deadlock or not stuck or len(stuck) + len(self.ended) < self.world_size:
            return
        words = [request.in_words() for request in sorted(stuck, key=lambda request: request.rank)]
        if self.ended:
            words.append(f"ended: rank{'s' * (len(self.ended) > 1)} {', '.join(map(str, sorted(self.ended)))}")
        self.deadlock = (
            f"some rank must be able to go on: got all of them waiting ({'; '.join(words)}). "
            "Each send needs a receive on the other side, and not both sides may begin with a send."
        )


def _fit(one: _Request, other: _Request) -> bool:
    """Whether these are the two sides of one message."""
    if one.is_send == other.is_send:
        return False
    send, receive = (one, other) if one.is_send else (other, one)
    return send.peer == receive.rank and receive.peer in (None, send.rank)


@dataclass
class _Work:
    """What isend and irecv return."""

    world: _World
    request: _Request

    def wait(self) -> bool:
        """Wait until the message has passed."""
        self.world.wait(self.request)
        sent = self.request.values
        if sent is not None and not torch.equal(self.request.tensor.detach(), sent):
            raise ConfigError(
                f"a tensor must stay as it is until it is sent: rank {self.request.rank} changed it between isend and wait. "
                "Call wait() before you write into it."
            )
        return True

    def is_completed(self) -> bool:
        """Whether it has passed already."""
        return self.world.ask(self.request)


def run_simulated(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> SimulatedRun:
    """Call a function on every rank at once, each with its own arguments, and count what they send each other.

    Inside, `dist.send`, `recv`, `isend`, `irecv`, `get_rank` and `get_world_size` work between the ranks. They must be called
    as attributes of `torch.distributed`.

    Args:
        function: the same for all ranks.
        arguments: for each rank a tuple; their number is the size of the world.

    >>> def ask(rank):
    ...     message = torch.tensor([float(rank)])
    ...     dist.send(message, 1) if rank == 0 else dist.recv(message, 0)
    ...     return message.item()
    >>> run = run_simulated(ask, [(0,), (1,)])
    >>> run.results, run.bytes_sent()
    ([0.0, 0.0], [4, 0])
    """
    if not arguments:
        raise ConfigError("a world must have at least one rank: got arguments for none.")
    world = _World(len(arguments))
    results: list[Any] = [None] * len(arguments)
    errors: list[BaseException | None] = [None] * len(arguments)

    def run(rank: int) -> None:
        world.begin(rank)
        try:
            results[rank] = function(*arguments[rank])
        except BaseException as error:
            errors[rank] = error
        finally:
            world.end(rank)

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(len(arguments))]
    with _in_place_of_torchs(world):
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + TIME_LIMIT
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
    _raise_first(errors)
    if world.unfit:  # nobody waited for it
        raise ShapeError(min(world.unfit))
    if any(thread.is_alive() for thread in threads):
        raise DeadlockError(f"every rank must come to its end: one was still at work after {TIME_LIMIT:g} seconds.")
    return SimulatedRun(results, world.messages, sum(request.is_send for request in world.open))


def _raise_first(errors: Sequence[BaseException | None]) -> None:
    """What a rank raised by itself comes before deadlocks, which may follow from it; of several, the lowest rank's."""
    raised = [error for error in errors if error is not None]
    for error in sorted(raised, key=lambda error: isinstance(error, DeadlockError)):
        raise error


@contextmanager
def _in_place_of_torchs(world: _World) -> Iterator[None]:
    """Let torch.distributed's functions be this world's."""

    def refuse(name: str) -> Callable[..., Any]:
        def refused(*args: Any, **kwargs: Any) -> Any:
            raise ConfigError(
                f"collectives are made of sends and receives here: got dist.{name}. Use dist.send and dist.recv."
            )

        return refused

    def receive(tensor: Tensor, src: int | None = None, *rest: Any, **more: Any) -> int:
        work = world.post(tensor, src, is_send=False)
        work.wait()
        return work.request.peer if work.request.peer is not None else -1

    replaced: dict[str, Callable[..., Any]] = {
        "send": lambda tensor, dst=None, *rest, **more: world.post(tensor, dst, is_send=True).wait() and None,
        "isend": lambda tensor, dst=None, *rest, **more: world.post(tensor, dst, is_send=True),
        "recv": receive,
        "irecv": lambda tensor, src=None, *rest, **more: world.post(tensor, src, is_send=False),
        "get_rank": lambda *rest: world.local.rank,
        "get_world_size": lambda *rest: world.world_size,
        "is_initialized": lambda: True,
        **{name: refuse(name) for name in COLLECTIVES},
    }
    before = {name: getattr(dist, name) for name in replaced}
    try:
        for name, function in replaced.items():
            setattr(dist, name, function)
        yield
    finally:
        for name, function in before.items():
            setattr(dist, name, function)
