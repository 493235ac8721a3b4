"""Settings that hold for every test.

Those that Ray reads once in a process, at its first import or first use, are made here, before any. Properties are
tested with the same examples each time, so that a run says something of the change and not of the day; look for more
with ``pytest --hypothesis-profile=search``.
"""

from __future__ import annotations

import os
import secrets
import signal

import pytest
from hypothesis import settings

from tierflow.rig import missing_privilege

os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile("same")

# A shell that starts pytest in the background lets it ignore SIGINT, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a namespace or a cgroup is skipped, with the reason, where this machine does not give one."""
    missing = missing_privilege()
    if missing is not None:
        for item in items:
            if item.get_closest_marker("namespace"):
                item.add_marker(pytest.mark.skip(reason=f"this machine lacks {missing}"))
