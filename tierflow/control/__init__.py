"""Pure reducers, `(state, event, now) -> (state, actions)`: what is done about time and loss, without either."""

from __future__ import annotations

from tierflow.control.liveness import Heard, Liveness, Message, Peer, Publish, Report, Send, Tick, View, begun, step

__all__ = ["Heard", "Liveness", "Message", "Peer", "Publish", "Report", "Send", "Tick", "View", "begun", "step"]
