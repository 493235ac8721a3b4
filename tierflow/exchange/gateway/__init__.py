"""What a device that cannot run Ray sends and receives: its wire formats, and the rules behind HTTP and Arrow Flight.

Nothing here is imported with `tierflow.exchange`: FastAPI and gRPC are loaded by the process of a gateway alone.
"""

from __future__ import annotations

__all__: list[str] = []
