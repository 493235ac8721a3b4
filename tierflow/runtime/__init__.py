"""The only door to Ray: start and join a fabric, hand it jobs and calls. It decides nothing.

Nothing here is imported until a name is used, so that a user's program does not pay for what it does not call.
"""

from __future__ import annotations

__all__: list[str] = []
