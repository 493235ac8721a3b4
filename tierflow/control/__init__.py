"""Pure reducers: ``(state, event, now) -> (state, actions)``. The runtime carries out the actions."""

from __future__ import annotations

__all__: list[str] = []
