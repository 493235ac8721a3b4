"""The limits of cgroups, read from the files of both versions as the kernel writes them, and from a real group."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tierflow.rig.cgroups import detect
from tierflow.runtime.limits import cpu_quota, memory_limit


def proc(tmp_path: Path, cgroup: str, *mounts: str) -> Path:
    """A process's `cgroup` and `mounts` files."""
    folder = tmp_path / "self"
    folder.mkdir()
    (folder / "cgroup").write_text(cgroup)
    (folder / "mounts").write_text("".join(f"cgroup {mount} 0 0\n" for mount in mounts))
    return folder


def group(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(f"{text}\n")
    return path


def test_the_least_quota_of_a_group_and_those_above_it_counts(tmp_path: Path) -> None:
    mount = tmp_path / "cg"
    least = group(mount / "site", cpu__max="20000 100000")
    group(mount / "site" / "cam", cpu__max="50000 100000")
    quota = cpu_quota(proc(tmp_path, "0::/site/cam\n", f"{mount} cgroup2 rw"))
    assert quota is not None
    assert (quota.cores, quota.folder) == (0.2, least)


def test_version_1_has_a_folder_for_each_controller(tmp_path: Path) -> None:
    cpu = group(tmp_path / "cpu" / "cam", cpu__cfs_quota_us="4000", cpu__cfs_period_us="10000")
    group(tmp_path / "memory" / "cam", memory__limit_in_bytes=str(2**28))
    where = proc(
        tmp_path,
        "2:memory:/cam\n1:cpu,cpuacct:/cam\n",
        f"{tmp_path / 'cpu'} cgroup rw,cpu,cpuacct",
        f"{tmp_path / 'memory'} cgroup rw,memory",
    )
    quota = cpu_quota(where)
    assert quota is not None
    assert (quota.cores, quota.folder) == (0.4, cpu)
    assert memory_limit(where) == 2**28


def test_in_a_container_the_mount_itself_is_the_group(tmp_path: Path) -> None:
    mount = group(tmp_path / "cg", cpu__max="150000 100000", memory__max="1048576")
    where = proc(tmp_path, "0::/docker/1f3a\n", f"{mount} cgroup2 rw")
    quota = cpu_quota(where)
    assert quota is not None
    assert quota.cores == 1.5
    assert memory_limit(where) == 2**20


def test_what_says_max_or_nothing_limits_nothing(tmp_path: Path) -> None:
    mount = group(tmp_path / "cg", cpu__max="max 100000", memory__max="max")
    v1 = group(tmp_path / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    huge = group(tmp_path / "memory", memory__limit_in_bytes=str(2**63 - 4096))
    where = proc(
        tmp_path,
        "2:memory:/\n1:cpu:/\n0::/\n",
        f"{mount} cgroup2 rw",
        f"{v1} cgroup rw,cpu",
        f"{huge} cgroup rw,memory",
    )
    assert cpu_quota(where) is None
    assert memory_limit(where) is None


def test_a_machine_without_cgroups_has_no_limits(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "nowhere") is None
    assert memory_limit(tmp_path / "nowhere") is None


@pytest.mark.namespace
def test_a_process_in_a_real_group_finds_its_quota() -> None:
    hierarchy = detect()
    assert hierarchy is not None
    if not hierarchy.quotas:
        pytest.skip("this kernel gives no CPU controller here")
    name = f"test-limits-{os.getpid()}/cam-1"
    hierarchy.make(name)
    try:
        hierarchy.quota(name, 0.3)
        program = (
            f"import os; open({str(hierarchy.path(name) / 'cgroup.procs')!r}, 'w').write('0'); "
            "from tierflow.runtime.limits import cpu_quota; print(cpu_quota().cores)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    finally:
        hierarchy.remove(name.partition("/")[0])
    assert float(done.stdout) == 0.3
