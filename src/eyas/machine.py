"""What is here: free cores, instruction sets, memory, disk, GPUs. Reads files of the system, measures nothing.

Cores and memory are those this process may use: affinity and the quota of its cgroup count, not the size of the host.
Only the standard library is imported. Off Linux the parts that cannot be read are left empty.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

#: instruction set -> the flag of /proc/cpuinfo that stands for it
FLAGS = {
    "avx2": "avx2",
    "avx512": "avx512bw",  # the least that the kernels called "AVX-512" need: F, BW, VL, DQ come together since Skylake
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "amx_bf16": "amx_bf16",
    "amx_int8": "amx_int8",
}

#: value of ONEDNN_MAX_CPU_ISA -> what oneDNN may then use (https://uxlfoundation.github.io/oneDNN, CPU dispatcher)
ONEDNN = {
    "SSE41": (),
    "AVX": (),
    "AVX2": ("avx2",),
    "AVX2_VNNI": ("avx2",),
    "AVX2_VNNI_2": ("avx2",),
    "AVX512_CORE": ("avx2", "avx512"),
    "AVX512_CORE_VNNI": ("avx2", "avx512", "avx512_vnni"),
    "AVX512_CORE_BF16": ("avx2", "avx512", "avx512_vnni", "avx512_bf16"),
    "AVX512_CORE_FP16": ("avx2", "avx512", "avx512_vnni", "avx512_bf16"),
}

#: value of ATEN_CPU_CAPABILITY -> the general instruction sets that torch's own kernels may then use
ATEN = {"default": (), "avx2": ("avx2",)}


@dataclass(frozen=True)
class Machine:
    """The machine as this process sees it; plain values, so that it can be written into a run."""

    cpu: str
    """Model name, for people; empty when unknown."""
    vendor: str
    architecture: str
    isa: tuple[str, ...]
    """Of `avx2 avx512 avx512_vnni avx512_bf16 amx_bf16 amx_int8`: there, and not switched off by a variable."""
    cores: int
    """Logical cores this process may keep busy: affinity or cgroup quota, whichever is less; at least 1."""
    physical_cores: int
    """Of `cores`, how many are not the second thread of another one."""
    logical_cores: int
    """Of the whole machine."""
    load: float
    """Processes that wanted to run, mean of the last minute; of the whole machine, others' work included."""
    memory_bytes: int
    """RAM, or the cgroup's limit when that is less; 0 when unknown."""
    memory_free_bytes: int
    """What may still be taken without swapping; 0 when unknown."""
    gpus: tuple[str, ...]
    """Names of the NVIDIA GPUs in the machine; CUDA_VISIBLE_DEVICES may hide some of them from torch."""
    python: str
    system: str


def cache_dir(environ: Mapping[str, str] | None = None) -> Path:
    """The folder for what can be made again: EYAS_CACHE, else XDG_CACHE_HOME/eyas, else ~/.cache/eyas. Not created."""
    env = os.environ if environ is None else environ
    if env.get("EYAS_CACHE"):
        return Path(env["EYAS_CACHE"]).expanduser()
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"]) / "eyas"
    return Path("~/.cache/eyas").expanduser()


def disk_free_bytes(path: Path) -> int:
    """Bytes that may still be written at `path`, or at its nearest folder that exists; 0 when nobody can say."""
    here = path.absolute()
    for folder in (here, *here.parents):
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            continue
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    """The integer in the first word; None for "max", for "-1" (no limit) and for nothing."""
    words = text.split()
    return int(words[0]) if words and words[0].isdigit() else None


# ---- CPU ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cpu:
    model: str
    vendor: str
    flags: frozenset[str]
    place: Mapping[int, tuple[str, str]]
    """Logical core -> (socket, physical core)."""


def _cpu(root: Path) -> _Cpu:
    """What /proc/cpuinfo says; one block of lines per logical core."""
    first: dict[str, str] = {}
    place: dict[int, tuple[str, str]] = {}
    for block in _read(root / "proc/cpuinfo").split("\n\n"):
        pairs = (line.split(":", 1) for line in block.splitlines() if ":" in line)
        values = {key.strip(): value.strip() for key, value in pairs}
        first = first or values
        number = _number(values.get("processor", ""))
        if number is not None and "core id" in values:
            place[number] = (values.get("physical id", "0"), values["core id"])
    return _Cpu(
        model=first.get("model name", "") or platform.processor(),
        vendor=first.get("vendor_id", ""),
        flags=frozenset(first.get("flags", "").split()),
        place=place,
    )


def _isa(flags: frozenset[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The instruction sets that torch will use: what the CPU has, less what two variables switch off.

    ATEN_CPU_CAPABILITY limits torch's own kernels, which know AVX2 and AVX-512; oneDNN's matrix kernels ask only
    ONEDNN_MAX_CPU_ISA (or its old name).
    """
    here = [name for name, flag in FLAGS.items() if flag in flags]
    most = environ.get("ONEDNN_MAX_CPU_ISA") or environ.get("DNNL_MAX_CPU_ISA") or ""
    if most.upper() in ONEDNN:
        here = [name for name in here if name in ONEDNN[most.upper()]]
    general = environ.get("ATEN_CPU_CAPABILITY", "").lower()
    if general in ATEN:
        here = [name for name in here if name not in ("avx2", "avx512") or name in ATEN[general]]
    return tuple(here)


# ---- limits -------------------------------------------------------------------------------------------------------


def _cgroups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """(version, folder) of every cgroup this process is in that may limit `controller`, innermost first.

    Inside a container the path of /proc/self/cgroup is often the host's: folders that are not there are passed over,
    and the walk ends at the mount itself, which is then the container's own group.
    """
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, names, path = [*line.split(":", 2), "", ""][:3]
        tops: list[tuple[int, Path]] = []
        if number == "0" and not names:
            tops = [(2, mount), (2, mount / "unified")]
        elif controller in names.split(","):
            tops = [(1, mount / controller), (1, mount / names)]
        for version, top in tops:
            inner = Path(path.lstrip("/"))
            for folder in (inner, *inner.parents):
                if (top / folder).is_dir():
                    yield version, top / folder


def _quota(root: Path) -> float | None:
    """Cores' worth of time that the cgroup grants, or None for no limit."""
    found: list[float] = []
    for version, folder in _cgroups(root, "cpu"):
        if version == 2:
            words = _read(folder / "cpu.max").split()
            quota, period = (_number(words[0]), _number(words[1])) if len(words) == 2 else (None, None)
        else:
            quota, period = _number(_read(folder / "cpu.cfs_quota_us")), _number(_read(folder / "cpu.cfs_period_us"))
        if quota and period:
            found.append(quota / period)
    return min(found, default=None)


def _memory(root: Path) -> tuple[int, int]:
    """(total, free) bytes: the machine's, or what the tightest cgroup leaves."""
    said: dict[str, int] = {}
    for line in _read(root / "proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        said[key] = (_number(value) or 0) * 1024
    total, free = said.get("MemTotal", 0), said.get("MemAvailable", 0)
    for version, folder in _cgroups(root, "memory"):
        names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        limit, used = _number(_read(folder / names[0])), _number(_read(folder / names[1]))
        if limit is None or (total and limit >= total):
            continue
        # File pages that were not used lately count as used, yet go as soon as somebody needs the room.
        prefix = "inactive_file " if version == 2 else "total_inactive_file "
        stat = _read(folder / "memory.stat").splitlines()
        cached = next((_number(line.removeprefix(prefix)) or 0 for line in stat if line.startswith(prefix)), 0)
        left = max(0, limit - max(0, (used or 0) - cached))
        total, free = limit, min(free, left) if free else left
    return total, free


def _gpus(root: Path) -> tuple[str, ...]:
    """Names of the NVIDIA GPUs: from the driver's files, else from nvidia-smi (0.1 to 2 s)."""
    infos = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for info in infos for line in _read(info).splitlines()]
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    tool = shutil.which("nvidia-smi")
    if names or tool is None:
        return tuple(names)
    try:
        said = subprocess.run(
            [tool, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(line.strip() for line in said.stdout.splitlines() if line.strip()) if said.returncode == 0 else ()


# ---- the whole ----------------------------------------------------------------------------------------------------


def _allowed() -> set[int]:
    """Logical cores this process may run on."""
    if sys.platform == "linux":
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def look(*, root: Path = Path("/"), environ: Mapping[str, str] | None = None) -> Machine:
    """The machine as it is now; a few milliseconds. `root` and `environ` stand in for the system's own in tests.

    >>> look().cores >= 1
    True
    """
    env = os.environ if environ is None else environ
    cpu = _cpu(root)
    allowed = _allowed()
    quota = _quota(root)
    cores = len(allowed) if quota is None else max(1, min(len(allowed), int(quota)))
    places = {cpu.place[core] for core in allowed if core in cpu.place}
    memory, free = _memory(root)
    load = _read(root / "proc/loadavg").split()
    return Machine(
        cpu=cpu.model,
        vendor=cpu.vendor,
        architecture=platform.machine(),
        isa=_isa(cpu.flags, env),
        cores=cores,
        physical_cores=min(cores, len(places) or cores),
        logical_cores=os.cpu_count() or 1,
        load=float(load[0]) if load else 0.0,
        memory_bytes=memory,
        memory_free_bytes=free,
        gpus=_gpus(root),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
    )


def busy_cores(*, over_s: float = 0.15, root: Path = Path("/")) -> float:
    """How many cores other processes keep busy right now, measured over `over_s` seconds; 0 where it cannot be read.

    The load average will not do: it still remembers our own last run minutes later.
    """
    before, own = _busy_ticks(root), os.times()
    if before is None:
        return 0.0
    begun = time.perf_counter()
    time.sleep(over_s)
    after, now = _busy_ticks(root), os.times()
    assert after is not None
    took = time.perf_counter() - begun
    mine = now.user + now.system - own.user - own.system
    return max(0.0, (after - before) / os.sysconf("SC_CLK_TCK") - mine) / took


def _busy_ticks(root: Path) -> int | None:
    """Clock ticks that all cores have worked since the system started: neither idle nor waiting for disks."""
    first = _read(root / "proc/stat").split("\n", 1)[0].split()
    if len(first) < 9 or first[0] != "cpu":
        return None
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, first[1:9])
    return user + nice + system + irq + soft + steal


def wait_politely(busy: float, environ: MutableMapping[str, str]) -> bool:
    """Let OpenMP's threads sleep while they wait, where others use the cores too; whether that was set now.

    `busy` is how many cores others use. Threads that spin take the cores from those they wait for: with half a core
    taken, two spinning threads trained this package's small net 10 to 30 times slower than sleeping ones; on idle cores
    sleeping costs a factor of 2 (docs/log.md). It must be set before torch is imported, it changes no result, and what
    somebody has set stays.
    """
    said = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(environ)
    if said or busy < 0.5:
        return False
    environ["OMP_WAIT_POLICY"] = "PASSIVE"
    return True


def before_torch() -> None:
    """See to how torch's threads will wait, by what is measured now, where torch is still to be imported."""
    if "torch" not in sys.modules:
        wait_politely(busy_cores(), os.environ)
