"""Choose where things run. Pure: values in, values out.

`eligible` sorts the members of the fabric into those that can run a `Request` and those that can't, with a reason.

A `Policy` says what to minimise under which constraints.

`planning.rank`, `planning.choose` and `planning.decisions` choose among those nodes by predicted cost.
`planning.explanation` says why, of a call that `planning.recorder` wrote down or that was just made. They are imported
by their own names: they need numpy, which `import tierflow` does not load.
"""

from __future__ import annotations

from tierflow.planning.eligible import Eligible, eligible, no_placement
from tierflow.planning.policy import POLICY_OPTIONS, Policy
from tierflow.planning.request import Request

__all__ = ["POLICY_OPTIONS", "Eligible", "Policy", "Request", "eligible", "no_placement"]
