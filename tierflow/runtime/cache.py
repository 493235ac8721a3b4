"""What outlives a fabric: measured speeds by hardware, and what was learned of functions by the name of the fabric."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["cache_folder", "keep", "profiles_file", "speeds_file", "write_whole"]


def cache_folder() -> Path:
    """``$TIERFLOW_CACHE``, otherwise ``~/.cache/tierflow``."""
    given = os.environ.get("TIERFLOW_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "tierflow"


def speeds_file() -> Path:
    """Where measured speeds are kept."""
    return cache_folder() / "speed.json"


def profiles_file(fabric: str) -> Path:
    """Where a fabric's profiles are kept, on its head."""
    return cache_folder() / "profiles" / f"{fabric}.jsonl"


def keep(file: Path, text: str) -> None:
    """Write one of these files, whole or not at all. Raises `OSError`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text)


def write_whole(file: Path, content: str | bytes, *, forced: bool = True) -> None:
    """Write a file whole or not at all: several processes may write it at once, and the last one wins.

    It is on the disk when this returns, unless it is not `forced`: then a loss of power may leave none of it.

    Raises:
        OSError: it cannot be written, or its folder is not there.
    """
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content.encode() if isinstance(content, str) else content)
            opened.flush()
            if forced:
                os.fsync(descriptor)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
