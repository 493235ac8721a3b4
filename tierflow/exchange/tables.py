"""Arrow tables and record batches as one contiguous Arrow IPC stream, read in place.

The stream format (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format) sends a slice's rows only,
where pickling an Arrow array sends the whole buffers under it.
"""

from __future__ import annotations

import pyarrow as pa

from tierflow.errors import PayloadError

__all__ = ["read", "read_schema", "size", "write"]

_DAMAGED = "send it again: it was damaged on its way"


def size(value: pa.Table | pa.RecordBatch) -> int:
    """Bytes of the stream that :func:`write` would make, without making it."""
    sink = pa.MockOutputStream()
    _write_to(sink, value)
    return int(sink.size())


def write(value: pa.Table | pa.RecordBatch) -> pa.Buffer:
    """The value as an Arrow IPC stream, in memory allocated once for exactly its size."""
    buffer = pa.allocate_buffer(size(value))
    _write_to(pa.FixedSizeBufferWriter(buffer), value)
    return buffer


def read_schema(data: pa.Buffer) -> pa.Schema:
    """The schema at the head of a stream.

    Raises:
        PayloadError: There is none.
    """
    try:
        return pa.ipc.read_schema(data)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise PayloadError(f"the payload does not begin with an Arrow schema ({error})", _DAMAGED) from error


def read(data: pa.Buffer, *, single: bool, whole: bool) -> pa.Table | pa.RecordBatch:
    """A table (or the ``single`` record batch) whose columns point into ``data``.

    Args:
        data: An Arrow IPC stream.
        single: Whether the stream is one record batch and is wanted as such.
        whole: Whether every value is checked (text is UTF-8, offsets ascend, dictionary keys exist), which reads
            the data once, or only the lengths.

    Raises:
        PayloadError: It is not a whole stream, or holds what its types do not allow.
    """
    try:
        with pa.ipc.open_stream(data) as stream:
            value = stream.read_next_batch() if single else stream.read_all()
        value.validate(full=whole)
    except (pa.ArrowException, ValueError, OSError, StopIteration) as error:
        said = str(error) or "it ends before its first batch"
        raise PayloadError(f"the payload is not a whole Arrow stream ({said})", _DAMAGED) from error
    return value


def _write_to(sink: pa.NativeFile, value: pa.Table | pa.RecordBatch) -> None:
    with pa.ipc.new_stream(sink, value.schema) as stream:
        stream.write(value)
