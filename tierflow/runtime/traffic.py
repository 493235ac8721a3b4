"""The bytes that crossed each link, as code inside the fabric can see them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tierflow.rig import LinkControl
from tierflow.runtime.settings import RIG

__all__ = ["traffic"]


def traffic() -> Mapping[str, int]:
    """Bytes carried by each directed link since the fabric came up, by link name ("plant-1->region-1").

    They are counted at the interface, headers included. Empty where the links are not shaped by a rig: there nobody
    stands between the nodes who could count.
    """
    folder = os.environ.get(RIG)
    if not folder:
        return {}
    return {name: counters.bytes for name, counters in LinkControl(Path(folder)).counters().items()}
