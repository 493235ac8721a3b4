"""YAML text as plain values, together with the line of each: a small, safe part of YAML.

Anchors, aliases, tags and repeated keys are refused: the first two can make a small file vast, and none is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from tierflow.errors import ClusterFileError

__all__ = ["Source", "read"]

_DEEPEST = 16
_LONGEST = 60
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null")}
_TAGS = _PLAIN | {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "timestamp", "merge", "value")}


@dataclass(slots=True)
class Source:
    """A file's plain values, and the line (from 1) of each key and of each item, by its keys and indices."""

    file: str
    values: Any = None
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)

    def line(self, loc: tuple[str | int, ...]) -> int:
        """The line of `loc`, or of the nearest thing around it that is in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)


class _Composer(yaml.SafeLoader):
    """PyYAML's safe loader that stops at anchors, aliases and deep nesting before they cost anything."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases (& and *) are not read here", problem_mark=event.start_mark
            )
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="values are nested too deeply", problem_mark=event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


def read(file: str, text: str) -> Source:
    """The values and lines of YAML `text`. Raises `ClusterFileError`, with `file` as its name."""
    source = Source(file)
    try:
        loader = _Composer(text)
        node = loader.get_single_node()
        if node is not None:
            source.lines[()] = node.start_mark.line + 1
            source.values = _value(loader, node, source, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"this is not YAML that can be read: {error.problem or error.context}"
        raise ClusterFileError(file, mark.line + 1 if mark else 1, problem, _mend(error.problem or "")) from None
    except yaml.YAMLError as error:
        problem = f"this is not YAML that can be read: {str(error).splitlines()[0]}"
        raise ClusterFileError(file, 1, problem, "write it as plain text") from None
    return source


def _value(loader: yaml.SafeLoader, node: yaml.Node, source: Source, loc: tuple[str | int, ...]) -> Any:
    if node.tag not in _TAGS:
        line = node.start_mark.line + 1
        raise ClusterFileError(
            source.file, line, f"the tag '{node.tag[:_LONGEST]}' is not read here", "write the value alone"
        )
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, source, loc)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            source.lines[*loc, index] = item.start_mark.line + 1
            items.append(_value(loader, item, source, (*loc, index)))
        return items
    return _scalar(loader, node, source)


def _mapping(
    loader: yaml.SafeLoader, node: yaml.MappingNode, source: Source, loc: tuple[str | int, ...]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, item in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ClusterFileError(source.file, line, "a key is not a word", "write 'key: value'")
        name = str(key.value)
        if name in values:
            first = source.lines[*loc, name]
            problem = f"the key '{name[:_LONGEST]}' is written twice, here and in line {first}"
            raise ClusterFileError(source.file, line, problem, "remove one")
        source.lines[*loc, name] = line
        values[name] = _value(loader, item, source, (*loc, name))
    return values


def _scalar(loader: yaml.SafeLoader, node: yaml.Node, source: Source) -> Any:
    if node.tag in _PLAIN:
        try:
            return loader.construct_object(node)
        except ValueError:
            line = node.start_mark.line + 1
            problem = f"'{node.value[:_LONGEST]}' cannot be read as the number it looks like"
            raise ClusterFileError(source.file, line, problem, "write a plain number, or text in quotes") from None
    return str(node.value)


def _mend(problem: str) -> str:
    if "anchors" in problem:
        return "write the value out where it is needed"
    if "deeply" in problem:
        return "a cluster file has tiers, sites, nodes and links, one level each"
    if "document" in problem:
        return "write one cluster in one file"
    if "\\t" in problem:
        return "indent with spaces"
    return "check the indentation, the colons and the quotes of this line and the one above"
