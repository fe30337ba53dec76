"""One rank of `processes.run_processes`: reads its call, joins the group, writes what comes out.

    python -m arena_lib.fundamentals.distributed.worker FOLDER RANK WORLD_SIZE SECONDS

Source:  own design.
"""

import os
import socket
import sys
from datetime import timedelta
from pathlib import Path

import cloudpickle
import torch
import torch.distributed as dist

from arena_lib.core.files import write_atomically

LOOPBACK = ("lo", "lo0")
"""What the loopback interface is called on Linux and on macOS."""


def main(folder: str, rank: str, world_size: str, seconds: str) -> None:
    """Call the function of this rank inside a group of gloo."""
    torch.set_num_threads(1)
    names = {name for _, name in socket.if_nameindex()}
    for name in LOOPBACK:
        if name in names:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    place = Path(folder)
    function, arguments = cloudpickle.loads((place / f"call{rank}").read_bytes())
    dist.init_process_group(
        "gloo",
        init_method=(place / "store").as_uri(),
        rank=int(rank),
        world_size=int(world_size),
        timeout=timedelta(seconds=float(seconds)),
    )
    result = function(*arguments)
    write_atomically(place / f"result{rank}", cloudpickle.dumps(result))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
