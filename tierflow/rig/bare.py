"""Run one module of the rig without the rest of tierflow, whose front page loads Ray.

Run as a file: `python -I bare.py MODULE [ARGUMENT...]`. The emulator and the forwarder need only the standard library
and a few modules of this room, so they start at once and stay small.
"""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path

__all__: list[str] = []


def _main() -> None:
    room = Path(__file__).resolve().parent
    for name, place in (("tierflow", room.parent), ("tierflow.rig", room)):
        package = types.ModuleType(name)
        package.__path__ = [str(place)]
        sys.modules[name] = package
    module = sys.argv.pop(1)
    runpy.run_module(f"tierflow.rig.{module}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
