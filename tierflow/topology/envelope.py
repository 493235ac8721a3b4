"""What is written on a value that travels: what it is, where it comes from, what it may not leave, what it is made of.

Nothing in it is the value's own content but the names and types of columns and layers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import get_args

from tierflow.errors import PayloadError
from tierflow.topology.policy import Stay, scope_of

__all__ = ["Envelope", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """A value that another is made of: its id, the node that it was made on, and by what."""

    id: str
    node: str
    function: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a value without opening it.

    Attributes:
        kind: "table", "batch", "tensor", "array", "state" (tensors by name), otherwise the name of its type.
        shape: rows and columns, or a tensor's or array's shape, or the number of items.
        schema: columns, layers or elements with their types, as text.
        size: bytes, about.
        node: where it was made (or, without a label, is), and `site`: the site of that.
        stay: what it may not leave; None: it has no label.
        id: by which the audit log and other envelopes name it; empty without a label.
        function: what made it.
        lineage: what it is made of, the latest last, of what has a label; `earlier`: how many there were before those.
    """

    kind: str
    shape: tuple[int, ...] = ()
    schema: str = ""
    size: int = 0
    node: str = ""
    site: str = ""
    stay: Stay | None = None
    id: str = ""
    function: str = ""
    lineage: tuple[Source, ...] = ()
    earlier: int = 0
    key: str = field(default="", repr=False)
    """The fingerprint of the key that opens it."""

    @property
    def scope(self) -> str:
        """What it may not leave, by name; empty where it has no label."""
        return "" if self.stay is None else scope_of(self.stay, self.node, self.site)

    @property
    def source(self) -> Source:
        """It, as what others are made of."""
        return Source(self.id, self.node, self.function)

    def to_json(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of_json(cls, text: bytes) -> Envelope:
        """What `to_json` gave.

        Raises:
            PayloadError: it is something else.
        """
        try:
            row = json.loads(text)
            lineage = tuple(Source(**source) for source in row.pop("lineage"))
            made = cls(**row | {"shape": tuple(row["shape"]), "lineage": lineage})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PayloadError(f"these bytes are no envelope ({error})", "send the value again") from None
        if made.stay not in (None, *get_args(Stay)):
            raise PayloadError(f"an envelope has the label {made.stay!r}", "use one tierflow version on every node")
        return made
