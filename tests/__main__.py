"""``python -m tests``: all tests. Those that need no hosts run aside, in the time in which the others wait.

Tests on real hosts and links wait for most of their time: for Ray, for a cut to last, for bytes on a slow link.
What runs aside has the lowest priority (nice 19), so it takes no time from those. Tests on hosts of their own that do
not mind how long anything takes run aside too. If all passed there, its last lines are printed and not its progress:
what failed among the others stands at the end, where whoever looks finds it first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
REAL = ("chaos/test_fleet.py", "fabric", "rig", "runtime")
"""Tests that wait for hosts and links, or measure."""
LAST = ("fabric/test_agent.py", "fabric/test_choosing.py", "rig", "runtime", "fabric/test_job.py")
"""Of those, what measures how fast or how busy this machine is, and then what computes most: they come when the other
part has ended.
"""
PATIENT = ("fabric/test_join.py", "fabric/test_listeners.py", "fabric/test_security.py")
"""Of those, what has a fabric of its own and waits for as long as it takes."""


def main() -> int:
    """Run both parts; 0 if all tests passed, the code of pytest otherwise."""
    aside = sorted(str(path) for path in HERE.glob("*") if _has_tests(path) and path.name not in REAL)
    aside += [str(HERE / name) for name in PATIENT]
    with tempfile.TemporaryFile() as said:
        other = subprocess.Popen(
            [*_PYTEST, "-q", *aside, *_but_real()],
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.nice(19),
        )
        code = _ended(subprocess.Popen([*_PYTEST, "-q", *_real()]))
        print(f"and {', '.join(Path(path).name for path in aside)}:", flush=True)
        code = _ended(other) or code
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    print("\n".join(lines if other.returncode else [line for line in lines if not line.endswith("%]")]))
    return code


def _real() -> list[str]:
    """In their order."""
    last = [HERE / name for name in LAST]
    fabric = sorted({*(HERE / "fabric").glob("test_*.py")} - {HERE / name for name in (*LAST, *PATIENT)})
    first = [HERE / name for name in REAL if name != "fabric" and name not in LAST]
    return [str(path) for path in (*first, *fabric, *last)]


def _but_real() -> list[str]:
    """What keeps single files of `REAL` out of the folders that run aside."""
    return [f"--ignore={HERE / name}" for name in REAL if name.endswith(".py")]


def _has_tests(path: Path) -> bool:
    return (path.is_dir() and any(path.glob("test_*.py"))) or path.match("test_*.py")


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Its code. Ctrl-C reaches it too: it is given the time to take down what it has made."""
    while True:
        with suppress(KeyboardInterrupt):
            return process.wait()


_PYTEST = (sys.executable, "-m", "pytest")

if __name__ == "__main__":
    sys.exit(main())
