"""Arrow data and tensors on their way out of this process go as the exchange's payloads."""

from __future__ import annotations

import sys

__all__ = ["carry_arrow"]


def carry_arrow(*, always: bool = False) -> None:
    """Teach Ray's pickler in this process; `always` also where there is nothing to carry yet.

    It is called whenever values may be about to leave: a process that has loaded neither pyarrow nor torch has none of
    theirs, and should not load pyarrow for it. Costs a microsecond.
    """
    if always or "pyarrow" in sys.modules or "torch" in sys.modules:
        from tierflow.runtime.payloads import register

        register()
