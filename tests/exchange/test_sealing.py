from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tierflow.errors import PayloadError
from tierflow.exchange import Envelope, Source, fingerprint, looks, read_line, seal, unseal

SECRET = bytes(range(32))
ENVELOPE = Envelope(
    "array", (3, 4), "float64", 96, "cam-1", "plant-1", "device", "4f", "shot", (Source("3e", "cam-1", "put"),), 2
)
PARTS = [b"pickle", os.urandom(1000), b""]

names = st.text(max_size=8)
envelopes = st.builds(
    Envelope,
    names,
    st.tuples(st.integers(0, 9)),
    names,
    st.integers(0, 1 << 50),
    names,
    names,
    st.sampled_from((None, "device", "site")),
    st.text(min_size=1),
    names,
    st.lists(st.builds(Source, names, names, names), max_size=3).map(tuple),
    st.integers(0, 9),
)


@given(envelopes, st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.integers(1, 64))
def test_what_was_sealed_opens_and_its_envelope_is_for_all_to_read(
    envelope: Envelope, parts: list[bytes], piece: int
) -> None:
    line, *pieces = seal(envelope, parts, SECRET, piece)
    assert unseal(line, pieces, SECRET) == parts
    assert read_line(line)[0] == replace(envelope, key=fingerprint(SECRET))
    assert SECRET not in line
    assert all(len(part) < 8 or part not in b"".join(pieces) for part in parts)


@given(st.data())
def test_whatever_was_altered_or_left_out_is_refused(data: st.DataObject) -> None:
    sealed = list(seal(ENVELOPE, PARTS, SECRET, 256))
    at = data.draw(st.integers(0, len(sealed) - 1))
    how = data.draw(st.sampled_from(("flip", "cut", "drop", "swap", "twice")))
    if how == "flip":
        place = data.draw(st.integers(0, len(sealed[at]) - 1))
        altered = bytearray(sealed[at])
        altered[place] ^= 1 << data.draw(st.integers(0, 7))
        sealed[at] = bytes(altered)
    elif how == "cut":
        sealed[at] = sealed[at][: data.draw(st.integers(0, len(sealed[at]) - 1))]
    elif how == "drop":
        del sealed[at]
    elif how == "twice":
        sealed.insert(at, sealed[at])
    else:
        sealed[1], sealed[2] = sealed[2], sealed[1]
    with pytest.raises(PayloadError):
        unseal(sealed[0] if sealed else b"", sealed[1:], SECRET)


@pytest.mark.parametrize("change", [{"stay": None}, {"stay": "site"}, {"node": "cam-2"}, {"lineage": ()}, {"id": "50"}])
def test_another_label_or_lineage_does_not_open(change: dict[str, object]) -> None:
    line, *pieces = seal(ENVELOPE, PARTS, SECRET)
    envelope, counts = read_line(line)
    forged = replace(envelope, **change).to_json() + b"\n" + b",".join(b"%d" % count for count in counts)  # type: ignore[arg-type]
    with pytest.raises(PayloadError, match=r"a sealed array of cam-\d does not open"):
        unseal(forged, pieces, SECRET)


def test_two_values_have_two_keys_and_another_secret_opens_none() -> None:
    one, other = (seal(replace(ENVELOPE, id=name), [b"0" * 64], SECRET) for name in ("1", "2"))
    assert one[1] != other[1]
    with pytest.raises(PayloadError):
        unseal(one[0], one[1:], b"x" * 32)
    with pytest.raises(PayloadError):
        unseal(one[0], other[1:], SECRET)


@pytest.mark.parametrize(
    "line", [b"", b"{}\n", b"{}\n1", b"[]\n1", b"x\n1", b'{"lineage": []}\n1', b"{}\n0", b"{}\n-1"]
)
def test_what_is_no_envelope_is_one_clear_error(line: bytes) -> None:
    with pytest.raises(PayloadError):
        unseal(line, [b""], SECRET)


def test_an_envelope_names_what_is_inside_and_none_of_its_values() -> None:
    table = pa.table({"at": pa.array([1], pa.timestamp("us")), "who": ["Ann"]}).replace_schema_metadata({"k": "Ann"})
    assert looks(table) == ("table", (1, 2), "at: timestamp[us], who: string")
    assert looks(table.to_batches()[0])[0] == "batch"
    assert looks(np.zeros((2, 3), np.float32)) == ("array", (2, 3), "float32")
    assert looks(torch.zeros(4, dtype=torch.bfloat16)) == ("tensor", (4,), "bfloat16")
    assert looks(torch.nn.Linear(2, 1).state_dict()) == ("state", (2,), "weight: float32[1, 2], bias: float32[1]")
    assert looks({"Ann": 41}) == ("dict", (1,), "")
    assert looks(["Ann"]) == ("list", (1,), "")
    assert looks("Ann") == ("str", (), "")
    wide = looks(pa.table({f"c{at}": [0] for at in range(70)}))[2]
    assert wide.endswith("c63: int64, and 6 more")
