"""What a node is made of, as far as a process on it can read without measuring anything."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from tierflow.runtime.limits import cpu_quota, memory_limit

__all__ = ["Battery", "Device", "Hardware", "hardware"]


@dataclass(frozen=True, slots=True)
class Battery:
    """`share` is how full it is (0 to 1), `left` the seconds that it lasts; None: it is being charged, or not known."""

    share: float
    left: float | None


@dataclass(frozen=True, slots=True)
class Device:
    """A device that torch computes on besides the CPU: its name and its memory in bytes (0: not known)."""

    name: str
    memory: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """One node.

    Attributes:
        cpu: the CPU's model as the machine names it.
        cores: logical cores of the machine; `quota`: how many of them the node's cgroup may keep busy, None: all.
        memory: bytes that the node may use: the machine's, or its cgroup's limit.
        battery: None where there is none.
        devices: torch's devices besides the CPU. They are found with the speed, since only torch knows them.
        torch, numpy: versions; empty where the package is missing.
        keeps_rate: whether a TCP stream from here goes on after a pause at the rate that it had, and need not find it
            anew (``net.ipv4.tcp_slow_start_after_idle`` and BBR, tcp(7)).
    """

    cpu: str
    cores: int
    quota: float | None
    memory: int
    battery: Battery | None
    torch: str
    numpy: str
    devices: tuple[Device, ...] = ()
    keeps_rate: bool = False

    @property
    def key(self) -> str:
        """What a measured speed holds for: the same key, the same speed."""
        quota = "all" if self.quota is None else f"{self.quota:.3g}"
        return f"{self.cpu} | {self.cores} cores, {quota} | torch {self.torch or '-'} | numpy {self.numpy or '-'}"


def hardware() -> Hardware:
    """This node's, without `devices`; takes a millisecond and imports no torch."""
    quota, limit = cpu_quota(), memory_limit()
    memory = psutil.virtual_memory().total
    return Hardware(
        cpu=_cpu_model(),
        cores=psutil.cpu_count() or 1,
        quota=None if quota is None else quota.cores,
        memory=min(memory, limit or memory),
        battery=_battery(),
        torch=_version("torch"),
        numpy=_version("numpy"),
        keeps_rate=_setting("tcp_congestion_control") == "bbr" or _setting("tcp_slow_start_after_idle") == "0",
    )


def _cpu_model() -> str:
    """What an x86 calls "model name" and a Raspberry Pi "Model"; otherwise the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return said.get("model name") or said.get("Model") or platform.processor() or platform.machine()


def _setting(name: str) -> str:
    """One of Linux's settings of TCP, those of this process's network namespace; empty elsewhere."""
    try:
        return Path("/proc/sys/net/ipv4", name).read_text().strip()
    except OSError:
        return ""


def _battery() -> Battery | None:
    read = getattr(psutil, "sensors_battery", None)  # not on every system
    found = read() if read else None
    if found is None:
        return None
    known = isinstance(found.secsleft, int | float) and found.secsleft >= 0
    return Battery(found.percent / 100, float(found.secsleft) if known else None)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
