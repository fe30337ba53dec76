"""What a record says of its machine."""

import os
import platform

import torch
from benchmarks.harness import machine
from benchmarks.harness.machine import describe_machine, describe_software, find_cpu_name


def test_the_machine_is_described_by_the_keys_of_the_schema(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__, raising=False)
    monkeypatch.setattr(machine, "find_cpu_name", lambda: "a processor")
    assert describe_machine(torch.device("cpu")) == {
        "cpu": "a processor",
        "n_cores": 3,
        "n_threads": torch.get_num_threads(),
        "memory": 4096000,
        "gpu": None,
        "system": platform.platform(),
    }


def test_a_run_on_cuda_names_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"the GPU of {device}")
    assert describe_machine(torch.device("cuda"))["gpu"] == "the GPU of cuda"


def test_a_system_that_does_not_tell_has_no_memory_and_all_cores(monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    described = describe_machine(torch.device("cpu"))
    assert (described["memory"], described["n_cores"]) == (None, 7)


def test_the_processor_is_the_first_model_that_the_system_names(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel\t\t: 143\nmodel name\t: Some CPU @ 2: GHz\nmodel name\t: Another\n")
    assert find_cpu_name(info) == "Some CPU @ 2: GHz"
    assert find_cpu_name(tmp_path / "missing") == (platform.processor() or platform.machine())


def test_the_software_is_ours_torchs_and_the_peers_that_are_here(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    versions = describe_software(["numpy>=99", "no-such-package"])
    assert set(versions) == {"python", "torch", "arena_lib", "cuda", "numpy"}
    assert (versions["python"], versions["cuda"]) == (platform.python_version(), "13.0")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "cuda" not in describe_software([])
