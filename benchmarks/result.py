"""One result of the scoreboard, as it is kept in ``benchmarks/results/<ID>.json``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import date
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.measure import Interval
from tierflow.runtime.hardware import hardware

__all__ = ["FOLDER", "Figure", "Result", "commit", "machine", "today"]

FOLDER = Path(__file__).parent / "results"


class Figure(BaseModel):
    """One number with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    value: float
    low: float
    high: float
    unit: str

    @classmethod
    def of(cls, name: str, measured: Interval, unit: str) -> Figure:
        """A figure from a median and its bounds."""
        return cls(name=name, value=measured.value, low=measured.low, high=measured.high, unit=unit)


class Result(BaseModel):
    """What one benchmark found, against what, on which machine, and whether its bar was met.

    ``met`` is None where a bar does not apply.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[A-Z][0-9]?$")]
    title: str
    command: str
    commit: str
    machine: str
    date: str
    repeats: Annotated[int, Field(ge=7)]
    seeds: tuple[int, ...]
    baseline: str
    figures: tuple[Figure, ...]
    bar: str
    met: bool | None
    notes: tuple[str, ...] = ()

    def save(self, folder: Path = FOLDER) -> Path:
        """Write it where ``benchmarks.results`` finds it."""
        path = folder / f"{self.id}.json"
        path.write_text(json.dumps(self.model_dump(), indent=1, ensure_ascii=False) + "\n")
        return path


def machine() -> str:
    """Model and number of cores, memory, kernel and Python of this machine."""
    memory = round(psutil.virtual_memory().total / 2**30)
    kernel = f"{platform.system()} {platform.release()}"
    return f"{hardware().cpu}, {os.cpu_count()} cores, {memory} GiB, {kernel}, Python {platform.python_version()}"


def commit() -> str:
    """The commit that is checked out, marked where files differ from it."""
    root = Path(__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")


def today() -> str:
    """The date, as ISO 8601 writes it."""
    return date.today().isoformat()
