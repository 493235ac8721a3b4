"""Reading a cluster file: one clear error that names file, line and mend, or a spec that keeps every rule."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from tierflow.errors import ClusterFileError
from tierflow.topology.quantities import AS_WRITTEN
from tierflow.topology.sentences import explain
from tierflow.topology.source import read
from tierflow.topology.spec import ClusterSpec

__all__ = ["load", "parse"]

_LARGEST = 1 << 20


def load(path: str | Path) -> ClusterSpec:
    """The cluster that the file at `path` describes. Raises `ClusterFileError`."""
    file = str(path)
    try:
        with Path(path).open("rb") as stream:
            written = stream.read(_LARGEST + 1)
    except FileNotFoundError:
        raise ClusterFileError(file, 0, "there is no such file", "check the path") from None
    except IsADirectoryError:
        raise ClusterFileError(file, 0, "this is a directory", "name a cluster file inside it") from None
    except (OSError, ValueError) as error:
        raise ClusterFileError(file, 0, f"the file cannot be read ({error})", "check the path and its rights") from None
    if len(written) > _LARGEST:
        raise ClusterFileError(file, 0, "the file is larger than 1 MiB", "a cluster file is a page or two of text")
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise ClusterFileError(file, line, "this is not UTF-8 text", "save the file as UTF-8") from None
    return parse(text, file)


def parse(text: str, file: str = "<text>") -> ClusterSpec:
    """The cluster that YAML `text` describes; `file` names it in errors. Raises `ClusterFileError`."""
    source = read(file, text)
    if source.values is None:
        raise ClusterFileError(file, 1, "the file is empty", "begin with 'name:', 'hosts:' and 'nodes:'")
    if not isinstance(source.values, dict):
        raise ClusterFileError(file, source.line(()), "the file is not a mapping", "begin with 'name: my-cluster'")
    try:
        return ClusterSpec.model_validate(source.values, context=AS_WRITTEN)
    except ValidationError as error:
        raise explain(error, source) from None
