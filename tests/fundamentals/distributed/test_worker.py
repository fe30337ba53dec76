import subprocess
import sys

import cloudpickle
import torch
import torch.distributed as dist


def test_a_worker_reads_its_call_and_writes_what_comes_out(tmp_path):
    def who(word):
        return word, dist.get_rank(), dist.get_world_size(), dist.get_backend(), torch.get_num_threads()

    (tmp_path / "call0").write_bytes(cloudpickle.dumps((who, ("word",))))
    module = "arena_lib.fundamentals.distributed.worker"
    subprocess.run([sys.executable, "-m", module, str(tmp_path), "0", "1", "60"], check=True, capture_output=True)
    assert cloudpickle.loads((tmp_path / "result0").read_bytes()) == ("word", 0, 1, "gloo", 1)
