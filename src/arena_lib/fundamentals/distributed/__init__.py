"""Distributed training from sends and receives, on CPU: simulated in one process, or real with gloo.

point_to_point  from one rank to another
collectives     broadcast, reduce and all-reduce, the simple way
ring            all-reduce in a ring
data_parallel   several processes train one model
simulated       a world in one process, in which messages are counted and a deadlock is an error
processes       real processes, with a limit on their time
worker          what runs in each of them

>>> import torch
>>> tensors = [torch.tensor([float(rank)]) for rank in range(4)]
>>> run = run_simulated(ring_all_reduce, [(tensors[rank], rank, 4) for rank in range(4)])
>>> tensors[2]
tensor([6.])
"""

from arena_lib.fundamentals.distributed.collectives import all_reduce, broadcast, reduce
from arena_lib.fundamentals.distributed.data_parallel import (
    DistTrainer,
    DistTrainingConfig,
    average_gradients,
    shard,
)
from arena_lib.fundamentals.distributed.point_to_point import send_right
from arena_lib.fundamentals.distributed.processes import run_processes
from arena_lib.fundamentals.distributed.ring import ring_all_gather, ring_all_reduce, ring_reduce_scatter
from arena_lib.fundamentals.distributed.simulated import Message, SimulatedRun, run_simulated

__all__ = [
    "DistTrainer",
    "DistTrainingConfig",
    "Message",
    "SimulatedRun",
    "all_reduce",
    "average_gradients",
    "broadcast",
    "reduce",
    "ring_all_gather",
    "ring_all_reduce",
    "ring_reduce_scatter",
    "run_processes",
    "run_simulated",
    "send_right",
    "shard",
]
