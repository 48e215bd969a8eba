"""Plan: how to do it here. Every entry is a value with the reason for it; nobody is asked.

`decide` is pure: a machine and a few facts in, choices out, so it can be tested for machines that are not at hand. A
resumed run takes its Plan over verbatim, unless this machine forbids an entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eyas.errors.messages import say
from eyas.machine import Machine

Value = str | int | float | bool


@dataclass(frozen=True)
class Choice:
    """One decided thing: `precision = bf16`, because …"""

    name: str
    value: Value
    reason: str


@dataclass(frozen=True)
class Plan:
    """All choices of one run on one machine, in the order in which they are shown."""

    choices: tuple[Choice, ...]

    def __getitem__(self, name: str) -> Value:
        for choice in self.choices:
            if choice.name == name:
                return choice.value
        raise KeyError(name)

    def text(self, name: str) -> str:
        """The value of a choice that is a word."""
        return str(self[name])

    def whole(self, name: str) -> int:
        """The value of a choice that is a whole number."""
        return int(self[name])

    def to_list(self) -> list[dict[str, Value]]:
        """`[{name, value, reason}]`, as it stands in `run.json`."""
        return [{"name": c.name, "value": c.value, "reason": c.reason} for c in self.choices]


def from_list(told: Iterable[dict[str, Value]]) -> Plan:
    """The Plan that `to_list` wrote."""
    return Plan(tuple(Choice(str(c["name"]), c["value"], str(c["reason"])) for c in told))


@dataclass(frozen=True)
class Wishes:
    """What the user laid down; None leaves it to the Plan."""

    device: str | None = None
    precision: str | None = None
    threads: int | None = None
    workers: int | None = None
    parts: int | None = None
    loader_threads: int | None = None


@dataclass(frozen=True)
class Job:
    """What the Plan must know of the work."""

    pixels: int
    """Height times width of a training image."""
    per_image_resampling: bool
    """Whether each image is resampled on the host (random resized crop, rotation): milliseconds, not microseconds."""
    batch_size: int
    cuda: bool
    """Whether torch sees a CUDA device."""
    own_kernels: bool = False
    """Whether the net brings its own fp32 kernels for CPUs."""
    pack_bytes: int = 0
    """What the packed training images take."""
    in_memory: bool = False
    """Whether they are in memory as they came."""
    streamed: str = ""
    """Why nothing is packed and every image is decoded whenever it is needed; empty: it is packed."""


def decide(machine: Machine, job: Job, wishes: Wishes) -> Plan:
    """The Plan for a job on a machine; wishes override with the reason "you said so"."""
    device = _wish("device", wishes.device) or _device(job)
    on_cpu = device.value == "cpu"
    threads = _many("threads", wishes.threads, machine) or _threads(machine)
    workers = _many("workers", wishes.workers, machine) or Choice("workers", machine.cores, say("plan.workers"))
    return Plan(
        (
            device,
            _wish("precision", wishes.precision) or _precision(machine, job, on_cpu=on_cpu),
            _memory_format(job, on_cpu=on_cpu),
            threads,
            _wish("parts", wishes.parts) or Choice("parts", 1, say("plan.parts")),
            workers,
            _images(machine, job),
            _wish("loader_threads", wishes.loader_threads) or _feeding(machine, job, on_cpu=on_cpu),
        )
    )


def _wish(name: str, value: Value | None) -> Choice | None:
    return None if value is None else Choice(name, value, say("plan.you_said_so"))


def _many(name: str, value: int | None, machine: Machine) -> Choice | None:
    """A wish for threads or processes, with a word where there are more than cores."""
    if value is not None and value > machine.cores:
        return Choice(name, value, say("plan.you_said_so_over", n=machine.cores))
    return _wish(name, value)


def _device(job: Job) -> Choice:
    if job.cuda:
        return Choice("device", "cuda", say("plan.cuda"))
    return Choice("device", "cpu", say("plan.cpu"))


def _memory_format(job: Job, *, on_cpu: bool) -> Choice:
    if job.own_kernels and on_cpu:
        return Choice("memory_format", "contiguous", say("plan.contiguous"))
    return Choice("memory_format", "channels_last", say("plan.channels_last"))


def _precision(machine: Machine, job: Job, *, on_cpu: bool) -> Choice:
    if job.own_kernels and on_cpu:
        return Choice("precision", "fp32", say("plan.own_kernels"))
    if not on_cpu:
        return Choice("precision", "bf16", say("plan.tensor_cores"))
    for flag, what in (("amx_bf16", "AMX tiles"), ("avx512_bf16", "AVX-512 BF16")):
        if flag in machine.isa:
            return Choice("precision", "bf16", say("plan.bf16", what=what))
    return Choice("precision", "fp32", say("plan.no_bf16"))


def _threads(machine: Machine) -> Choice:
    return Choice("threads", machine.cores, say("plan.threads", n=machine.cores))


IN_MEMORY_SHARE = 0.125
"""Of the free memory: a pack up to this size is read into it, which takes a second for a few GB."""
MAPPED_SHARE = 0.8
"""Of the free memory: up to this size the system keeps a mapped pack there by itself, once it was read."""


def _images(machine: Machine, job: Job) -> Choice:
    """Where the packed training images are while they are trained on."""
    free = machine.memory_free_bytes
    sizes = {"size": f"{job.pack_bytes / 1e9:.2f}", "free": f"{free / 1e9:.1f}"}
    if job.streamed:
        return Choice("images", "streamed", say("plan.images.streamed", why=job.streamed))
    if job.in_memory:
        return Choice("images", "memory", say("plan.images.arrays"))
    if job.pack_bytes <= IN_MEMORY_SHARE * free:
        return Choice("images", "memory", say("plan.images.memory", **sizes))
    if job.pack_bytes <= MAPPED_SHARE * free or not free:
        return Choice("images", "mapped", say("plan.images.mapped", **sizes))
    return Choice("images", "disk", say("plan.images.disk", **sizes))


def _feeding(machine: Machine, job: Job, *, on_cpu: bool) -> Choice:
    """Threads that make batches ahead; 0 makes them where they are used."""
    if job.streamed:
        return Choice("loader_threads", machine.cores, say("plan.feeding.streamed"))
    if not on_cpu:
        threads = max(1, min(8, machine.cores - 1))
        return Choice("loader_threads", threads, say("plan.feeding.device"))
    if job.per_image_resampling or job.pixels > 64 * 64:
        threads = 1 if machine.cores < 8 else 2
        return Choice("loader_threads", threads, say("plan.ahead"))
    return Choice("loader_threads", 0, say("plan.inline"))


def changes(old: Plan, new: Plan) -> list[str]:
    """What differs between two Plans, as `name old -> new`; decides whether a resume stays bitwise."""
    before = {c.name: c.value for c in old.choices}
    after = {c.name: c.value for c in new.choices}
    names = [n for n in before | after if before.get(n) != after.get(n)]
    return [f"{n} {before.get(n)} -> {after.get(n)}" for n in names]
