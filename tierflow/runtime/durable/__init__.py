"""What is on a node's disk and must not be lost: outboxes, inboxes and versions."""

from __future__ import annotations

__all__: list[str] = []
