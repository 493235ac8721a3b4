"""What the processes of a fabric tell one another, through the registry: at most once a second, and only while calls
are made. A process that the registry cannot be reached from goes on with what it knows.
"""

from __future__ import annotations

import atexit
import logging
import threading
from typing import Any

import ray

from tierflow.planning import Policy
from tierflow.runtime.hook import quiet
from tierflow.runtime.news import Update, Version
from tierflow.runtime.placing import Placing
from tierflow.topology import Topology
from tierflow.topology.conditions import Conditions

__all__ = ["NAMESPACE", "REGISTRY", "Sharing"]

log = logging.getLogger("tierflow.sharing")

NAMESPACE, REGISTRY = "tierflow", "registry"
"""Where Ray finds the registry, and the agents beside it."""
PERIOD = 1.0
"""Seconds between two exchanges with the registry."""
AT_EXIT = 2.0
"""Seconds that a process that ends takes to tell what it saw last."""
FIRST = 30.0
"""Seconds to wait for the first answer, and for one that is overdue: after that the link is taken to be cut."""


class Sharing:
    """This process's exchange with the registry, by a thread of its own."""

    def __init__(self, registry: Any, placing: Placing, policy: Policy, version: Version) -> None:
        self.placing, self.policy = placing, policy
        self._registry, self._version = registry, version
        self._active = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="tierflow-sharing", daemon=True).start()
        atexit.register(self._exchange, AT_EXIT)  # what was seen last would be lost with the process

    @classmethod
    def open(cls, caller: str | None) -> Sharing | None:
        """The exchange of a process on the node `caller`; None where the cluster has no registry."""
        if caller is None:
            return None
        try:
            registry: Any = ray.get_actor(REGISTRY, namespace=NAMESPACE)
            spec, update = ray.get(registry.known.remote(), timeout=FIRST)
        except (ValueError, ray.exceptions.RayError):
            return None
        conditions = Conditions.of(Topology.of(spec))
        if caller not in conditions.fixed.nodes:
            return None
        placing = Placing(caller, conditions)
        placing.learn(update)
        return cls(registry, placing, Policy.of_file(spec.policy), update.version)

    def wake(self) -> None:
        """A call was made or has ended: there will be something to tell."""
        if not self._active.is_set():
            self._active.set()

    def close(self) -> None:
        """End the exchange."""
        atexit.unregister(self._exchange)
        self._closed.set()
        self._active.set()

    def _run(self) -> None:
        while True:
            self._active.wait()
            self._closed.wait(PERIOD)
            if self._closed.is_set():
                return
            self._active.clear()
            self._exchange(FIRST)

    def _exchange(self, patience: float) -> None:
        """Tell and be told. What could not be told is told the next time, what could not be read is passed over."""
        news = self.placing.news()
        try:
            with quiet():  # names, times and sizes: no data of whoever runs here
                answer = self._registry.share.remote(*news, self._version)
            update: Update = ray.get(answer, timeout=patience)
        except Exception as error:  # Ray's own, or that it was shut down: this thread goes on in any case
            self.placing.tell_again(news)
            log.debug("the registry was not reached: %s", error)
            return
        self._version = update.version
        self.placing.learn(update)
