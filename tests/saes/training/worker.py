"""One of two processes that train an autoencoder together: `python -m tests.saes.training.worker RANK FOLDER`."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from tests.saes.training.toys import D_MODEL, configure, make_store

from arena_lib.core.checkpoints import remove_checkpoint
from arena_lib.core.seeds import make_generator
from arena_lib.errors import CheckpointError
from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig
from arena_lib.saes.training import distributed
from arena_lib.saes.training.trainer import SAETrainer

WORLD = 2
SETTINGS = {"n_steps": 10, "dead_window": 3, "checkpoint_every": 4, "grad_clip": 0.5, "initial_bias": "mean"}


def make_relu(seed: int = 1) -> ReLUSAE:
    return ReLUSAE(ReLUSAEConfig(d_in=D_MODEL, d_sae=17, l1_coef=0.1), make_generator(seed))


class StopsAtFive(SAETrainer):
    """The second process is asked to stop at its fifth update."""

    def should_stop(self, is_asked_to: bool) -> bool:
        return super().should_stop(is_asked_to or (distributed.get_rank() == 1 and self.step == 5))


def main(rank: int, folder: Path) -> None:
    """Train, train again with a stop between, and write down how it ended."""
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=WORLD)
    trainer = SAETrainer(make_relu(seed=rank), make_store(), configure(**SETTINGS))  # the first one's weights are used
    trainer.train()
    StopsAtFive(make_relu(), make_store(), configure(**SETTINGS), None, folder / "run").train()
    again = SAETrainer(make_relu(), make_store(), configure(**SETTINGS), None, folder / "run")
    again.restore()
    stopped_at = again.step
    again.train()
    if rank == 1:
        remove_checkpoint(folder / "run" / "rank-1")
    try:
        SAETrainer(make_relu(), make_store(), configure(**SETTINGS), None, folder / "run").train()
        refused = ""
    except CheckpointError as error:
        refused = str(error)
    scaled = make_store(is_scaled=True)
    scaled(make_generator(rank))
    record = {
        "weights": dict(trainer.model.state_dict()),
        "again": dict(again.model.state_dict()),
        "n_idle": trainer._n_idle,
        "stopped_at": stopped_at,
        "refused": refused,
        "scale": scaled.scale,
        "gradients": distributed.average(torch.tensor([1.0 + rank, 5.0])),
        "is_distributed": distributed.is_distributed(),
    }
    torch.save(record, folder / f"{rank}.pt")
    dist.destroy_process_group()  # once in many runs gloo's threads end badly here, or after it


if __name__ == "__main__":
    os.environ["ARENA_QUIET"] = "1"
    torch.set_num_threads(1)
    main(int(sys.argv[1]), Path(sys.argv[2]))
