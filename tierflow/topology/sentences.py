"""From what pydantic found to one sentence: file, line, problem, mend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tierflow.errors import ClusterFileError, UnitError
from tierflow.topology.link import LinkSpec, ReverseSpec
from tierflow.topology.node import NodeSpec, PowerSpec
from tierflow.topology.policy import PolicySpec
from tierflow.topology.rules import guess
from tierflow.topology.source import Source
from tierflow.topology.spec import BROKEN_RULE, ClusterSpec

__all__ = ["explain"]

_MODELS: Mapping[str, type[BaseModel]] = {
    "nodes": NodeSpec,
    "links": LinkSpec,
    "power": PowerSpec,
    "reverse": ReverseSpec,
    "policy": PolicySpec,
}
_LONGEST = 40
_WANTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping of keys",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "model_type": "a mapping of keys",
    "string_type": "text",
    "tuple_type": "a list",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(error: ValidationError, source: Source) -> ClusterFileError:
    """The fault to mend first: an unknown key before the key it may stand for, then the first by line."""
    found = min(
        error.errors(include_url=False),
        key=lambda fault: (fault["type"] != "extra_forbidden", source.line(fault["loc"])),
    )
    if found["type"] == BROKEN_RULE:
        context = found["ctx"]
        return ClusterFileError(source.file, source.line(context["loc"]), context["problem"], context["mend"])
    problem, mend = _sentence(found, source)
    return ClusterFileError(source.file, source.line(found["loc"]), problem, mend)


def _sentence(found: ErrorDetails, source: Source) -> tuple[str, str]:
    kind, loc = found["type"], found["loc"]
    key, context = _cut(str(loc[-1])), found.get("ctx", {})
    where = _where(loc[:-1], source)
    if kind == "extra_forbidden":
        return f"{where} has an unknown key, '{key}'", guess(key, _keys(loc[:-1]))
    if kind == "missing":
        return f"{where} has no '{key}'", f"add '{key}:'"
    value = _at(loc, source)
    what = f"'{key}' of {where}" if isinstance(loc[-1], str) else f"item {int(loc[-1]) + 1} of {where}"
    if isinstance(cause := context.get("error"), UnitError):
        return f"{what} is {_said(value)}, which is not a {cause.wanted}", f"write it like {cause.example!r}"
    if kind == "string_pattern_mismatch":
        return _misnamed(key, what, str(value))
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"{what} is {_said(value)}", guess(str(value), choices)
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        limit = "100 %" if key == "loss" else f"{context[bound]:g}"
        return f"{what} is {_said(value)}", f"make it {words} {limit}"
    if kind == "too_short":
        return f"{what} is an empty list", "write at least one"
    if kind == "finite_number":
        return f"{what} is {_said(value)}", "write a number that is finite"
    wanted = _WANTED.get(kind, found["msg"])
    quotable = kind == "string_type" and not isinstance(value, dict | list | None)
    mend = "put it in quotes" if quotable else f"write {wanted}"
    return f"{what} must be {wanted}, but it is {_said(value)}", mend


def _where(loc: tuple[str | int, ...], source: Source) -> str:
    """What the thing at `loc` is to its reader: "the file", "node 'cam-1'", "the reverse of link 2"."""
    if not loc:
        return "the file"
    if isinstance(loc[-1], str):
        return f"'{loc[-1]}'" if len(loc) == 1 else f"'{loc[-1]}' of {_where(loc[:-1], source)}"
    value = _at(loc, source)
    kind = str(loc[-2]).removesuffix("s")
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return f"{kind} {_said(value['name'])}"
    if isinstance(value, dict) and kind == "link" and {"from", "to"} <= value.keys():
        return f"the link from {_said(value['from'])} to {_said(value['to'])}"
    return f"{kind} {int(loc[-1]) + 1}"


def _at(loc: tuple[str | int, ...], source: Source) -> Any:
    value = source.values
    for step in loc:
        value = value[step]
    return value


def _keys(loc: tuple[str | int, ...]) -> list[str]:
    names = [step for step in loc if isinstance(step, str)]
    fields = (_MODELS[names[-1]] if names else ClusterSpec).model_fields
    return [str(field.validation_alias or name) for name, field in fields.items()]


def _misnamed(key: str, what: str, value: str) -> tuple[str, str]:
    if key == "address":
        return f"{what} is {_said(value)}", "write a host name or an IP address, without a port"
    safe = re.sub(r"[^a-z0-9]+", "-", value.lower())[:24].strip("-")
    rule = "a name has 1 to 24 of a-z, 0-9 and '-', and begins and ends with a letter or digit"
    return f"{what} is {_said(value)}", f"{rule}; write it like '{safe}'" if safe else rule


def _said(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(_cut(value)) if isinstance(value, str) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
