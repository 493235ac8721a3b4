"""Hand a program to the fabric as a Ray job, follow its log, return its exit code.

Plain ``ray job submit`` does the same against the same address; this adds the token, the exit code and Ctrl-C.
(https://docs.ray.io/en/latest/cluster/running-applications/job-submission/)
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierflow.errors import FabricError
from tierflow.runtime.record import FabricRecord
from tierflow.runtime.settings import ray_environment

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

__all__ = ["inside", "submit"]

STOP_WITHIN = 20.0
"""How long (s) a job that is stopped gets to show what it has so far."""

AGENT_WITHIN = 40.0
"""How long (s) the head's agent may take to come up."""

STOP_SIGNAL = {"RAY_JOB_STOP_SIGNAL": "SIGINT"}
"""A job that is stopped sees Ctrl-C, as it would in a terminal (Ray's default is SIGTERM)."""

EXCLUDED = [".git", ".venv", "build", "**/__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"]

PREFERRED = ("RAY_AUTH_TOKEN", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""What Ray would prefer to the token and the address that it is given: they may be another fabric's."""


def submit(
    record: FabricRecord, program: Path, arguments: Sequence[str], *, folder: Path, say: Callable[[str], None]
) -> int:
    """Run a Python program as a job on the head and return its exit code.

    Args:
        record: the fabric.
        program: the program, inside ``folder``.
        arguments: its arguments.
        folder: what is sent along: the job's working directory, importable on every node.
        say: called with each piece of the job's output.

    Raises:
        FabricError: there is no such program, or the fabric does not take the job.
    """
    name = inside(program, folder)
    for another in PREFERRED:
        os.environ.pop(another, None)
    os.environ.update(ray_environment(record.token))
    from ray.job_submission import JobStatus, JobSubmissionClient

    logging.disable(logging.INFO)  # Ray tells each step of the upload between the job's own lines

    try:
        client = JobSubmissionClient(record.dashboard)
        environment = {"working_dir": str(folder), "excludes": EXCLUDED, "env_vars": STOP_SIGNAL}
        job = _handed_in(client, shlex.join(["python", "-u", str(name), *arguments]), environment)
    except (RuntimeError, OSError, ValueError) as error:
        raise FabricError(
            f"the fabric {record.name!r} did not take the job ({error})", "see `tierflow status`"
        ) from None

    try:
        _follow(client, job, say)
        info = client.get_job_info(job)
    except (RuntimeError, OSError, TimeoutError) as error:
        raise FabricError(f"the fabric was lost while the job {job} ran ({error})", "see `tierflow status`") from None
    if info.driver_exit_code is not None:
        return int(info.driver_exit_code)
    if info.status != JobStatus.SUCCEEDED:
        raise FabricError(f"the job {job} ended as {info.status}: {info.message}", "see its log in the dashboard")
    return 0


def _handed_in(client: JobSubmissionClient, entrypoint: str, environment: dict[str, Any]) -> str:
    """The job's id. The head's agent, which takes jobs, comes some seconds after the head: with TLS, ten."""
    until = time.monotonic() + AGENT_WITHIN
    while True:
        try:
            return str(client.submit_job(entrypoint=entrypoint, runtime_env=environment))
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(1)


def _follow(client: JobSubmissionClient, job: str, say: Callable[[str], None]) -> None:
    """Pass on the job's output to its end; on Ctrl-C stop the job and pass on what it still has to say."""

    async def tail() -> None:
        async for piece in client.tail_job_logs(job):
            say(piece)

    try:
        asyncio.run(tail())
    except KeyboardInterrupt:
        client.stop_job(job)
        asyncio.run(asyncio.wait_for(tail(), STOP_WITHIN))
        raise


def inside(program: Path, folder: Path) -> Path:
    """The program's path as the job sees it, below ``folder``.

    Raises:
        FabricError: there is no such program, or it is elsewhere.
    """
    if not program.is_file():
        raise FabricError(f"there is no program {program}", "check the path")
    try:
        return program.resolve().relative_to(folder.resolve())
    except ValueError:
        raise FabricError(
            f"{program} is not inside {folder}, which is what is sent to the fabric",
            "run `tierflow submit` from a folder above the program, or name one with --folder",
        ) from None
