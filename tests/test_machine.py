"""What the machine is found to be, from the files that say it; other machines are folders with such files."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from eyas.machine import cache_dir, disk_free_bytes, look

GIB = 2**30
FLAGS = "fpu avx2 avx512f avx512bw avx512_vnni avx512_bf16 amx_bf16 amx_int8"


def machine_files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def cpuinfo(cores: int, *, threads_per_core: int = 1, flags: str = FLAGS) -> str:
    blocks = (
        f"processor\t: {i}\nvendor_id\t: GenuineIntel\nmodel name\t: Some CPU\nphysical id\t: 0\n"
        f"core id\t\t: {i // threads_per_core}\nflags\t\t: {flags}\n"
        for i in range(cores)
    )
    return "\n".join(blocks)


@pytest.fixture
def cores() -> int:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system does not say which cores a process may use")
    return len(os.sched_getaffinity(0))


def test_this_machine_can_be_looked_at():
    here = look()
    assert 1 <= here.cores <= here.logical_cores
    assert 1 <= here.physical_cores <= here.cores
    assert here.memory_free_bytes <= here.memory_bytes
    assert here.python.startswith("3.")
    assert asdict(here)["cpu"] == here.cpu


def test_a_machine_that_says_nothing_still_has_a_core(tmp_path):
    here = look(root=tmp_path)
    assert here.cores >= 1
    assert (here.isa, here.memory_bytes, here.memory_free_bytes, here.load) == ((), 0, 0, 0.0)


def test_instruction_sets_are_read_and_not_assumed(tmp_path):
    root = machine_files(tmp_path, {"proc/cpuinfo": cpuinfo(2)})
    here = look(root=root, environ={})
    assert here.isa == ("avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    assert (here.cpu, here.vendor) == ("Some CPU", "GenuineIntel")
    assert look(root=machine_files(tmp_path / "old", {"proc/cpuinfo": cpuinfo(2, flags="sse2")}), environ={}).isa == ()


@pytest.mark.parametrize(
    ("environ", "isa"),
    [
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, ("avx2",)),
        ({"ONEDNN_MAX_CPU_ISA": "avx512_core_bf16"}, ("avx2", "avx512", "avx512_vnni", "avx512_bf16")),
        ({"DNNL_MAX_CPU_ISA": "AVX512_CORE"}, ("avx2", "avx512")),
        ({"ATEN_CPU_CAPABILITY": "avx2"}, ("avx2", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")),
        ({"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, ()),
        (
            {"ONEDNN_MAX_CPU_ISA": "DEFAULT"},
            ("avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
        ),
    ],
)
def test_what_a_variable_switches_off_is_not_there(tmp_path, environ, isa):
    assert look(root=machine_files(tmp_path, {"proc/cpuinfo": cpuinfo(1)}), environ=environ).isa == isa


def test_the_second_thread_of_a_core_is_not_a_core_of_its_own(tmp_path, cores):
    root = machine_files(tmp_path, {"proc/cpuinfo": cpuinfo(max(os.sched_getaffinity(0)) + 1, threads_per_core=2)})
    here = look(root=root)
    assert here.cores == cores
    assert here.physical_cores == len({core // 2 for core in os.sched_getaffinity(0)})


def test_a_quota_of_a_cgroup_limits_the_cores(tmp_path, cores):
    two = {"proc/self/cgroup": "0::/app/web\n", "sys/fs/cgroup/app/web/cpu.max": "max 100000\n"}
    assert look(root=machine_files(tmp_path / "free", two)).cores == cores
    # the limit of a group further out counts as well, and a part of a core is still one
    outer = two | {"sys/fs/cgroup/app/cpu.max": "50000 100000\n"}
    assert look(root=machine_files(tmp_path / "half", outer)).cores == 1
    one = {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert look(root=machine_files(tmp_path / "v1", one)).cores == 1
    one["sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "-1\n"
    assert look(root=machine_files(tmp_path / "v1", one)).cores == cores


def test_memory_is_what_the_cgroup_leaves(tmp_path):
    meminfo = {"proc/meminfo": f"MemTotal: {32 * GIB // 1024} kB\nMemAvailable: {20 * GIB // 1024} kB\n"}
    here = look(root=machine_files(tmp_path / "bare", meminfo))
    assert (here.memory_bytes, here.memory_free_bytes) == (32 * GIB, 20 * GIB)
    two = meminfo | {
        "proc/self/cgroup": "0::/app\n",
        "sys/fs/cgroup/app/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/app/memory.current": f"{3 * GIB}\n",
        "sys/fs/cgroup/app/memory.stat": f"anon 5\ninactive_file {GIB}\n",
    }
    here = look(root=machine_files(tmp_path / "v2", two))
    assert (here.memory_bytes, here.memory_free_bytes) == (4 * GIB, 2 * GIB)
    one = meminfo | {
        "proc/self/cgroup": "5:memory:/docker/abc\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{8 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{9 * GIB}\n",
    }
    here = look(root=machine_files(tmp_path / "v1", one))
    assert (here.memory_bytes, here.memory_free_bytes) == (8 * GIB, 0)
    one["sys/fs/cgroup/memory/memory.limit_in_bytes"] = "9223372036854771712\n"  # how version 1 says "no limit"
    assert look(root=machine_files(tmp_path / "v1", one)).memory_bytes == 32 * GIB


def test_gpus_are_named_by_the_driver(tmp_path):
    info = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 16\n"
    files = {f"proc/driver/nvidia/gpus/0000:0{i}:00.0/information": info for i in range(2)}
    assert look(root=machine_files(tmp_path, files)).gpus == ("NVIDIA H200", "NVIDIA H200")


def test_gpus_are_named_by_the_tool_where_the_driver_does_not_say(tmp_path, monkeypatch):
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    assert look(root=tmp_path).gpus == ("NVIDIA H200",)
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert look(root=tmp_path).gpus == ()


def test_the_cache_is_where_the_variables_say():
    assert cache_dir({"EYAS_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_dir({"XDG_CACHE_HOME": "/b"}) == Path("/b/eyas")
    assert cache_dir({}) == Path.home() / ".cache" / "eyas"


def test_free_disk_is_told_for_folders_that_do_not_exist_yet(tmp_path):
    assert disk_free_bytes(tmp_path / "not" / "yet") > 0
