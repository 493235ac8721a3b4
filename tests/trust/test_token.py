"""A join token says what the head granted, or it is refused with a sentence."""

from __future__ import annotations

import base64
import json
import string
from dataclasses import asdict, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tierflow.errors import TrustError
from tierflow.trust import JoinToken

SECRET = b"5" * 64
TOKEN = JoinToken("0a1b2c3d4e5f", "demo", "device", "plant-1", "cam-9", 2000.0, "10.0.0.1:6380", "ab" * 32)
TEXT = TOKEN.sealed(SECRET)


def body(said: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def test_what_was_signed_is_read_back() -> None:
    assert JoinToken.checked(TEXT + "\n", SECRET, "demo", 1999.0) == TOKEN


@given(name=st.text("abc-0", max_size=24), tier=st.text(max_size=30), expires=st.floats(1, 1e12), own=st.booleans())
def test_any_token_is_read_back(name: str, tier: str, expires: float, own: bool) -> None:
    token = replace(TOKEN, name=name, tier=tier, expires=expires, own=own)
    assert JoinToken.checked(token.sealed(SECRET), SECRET, "demo", 0.0) == token


def test_another_fabrics_token_is_refused() -> None:
    with pytest.raises(TrustError, match="was not made by the fabric 'demo' as it runs now, or was changed"):
        JoinToken.checked(TEXT, b"6" * 64, "demo", 0.0)
    with pytest.raises(TrustError, match="is for the fabric 'demo', not 'other'"):
        JoinToken.checked(TEXT, SECRET, "other", 0.0)


def test_an_expired_token_is_refused_from_the_second_on_that_it_names() -> None:
    with pytest.raises(TrustError, match="0a1b2c3d4e5f has expired; make another with `tierflow token make`"):
        JoinToken.checked(TEXT, SECRET, "demo", 2000.0)


@pytest.mark.parametrize("field", sorted(asdict(TOKEN)))
@given(data=st.data())
def test_no_field_can_be_changed(field: str, data: st.DataObject) -> None:
    was = getattr(TOKEN, field)
    kinds = {bool: st.booleans(), float: st.floats(allow_nan=False), str: st.text()}
    value = data.draw(kinds[type(was)])
    assume(value != was)
    _, _, tag = TEXT.split(".")
    with pytest.raises(TrustError, match=r"was not made by the fabric|damaged|not the whole"):
        JoinToken.checked(f"tf1.{body(asdict(TOKEN) | {field: value})}.{tag}", SECRET, "demo", 0.0)


@given(at=st.integers(0, len(TEXT) - 1), letter=st.sampled_from(string.ascii_letters + string.digits + "-_."))
def test_no_letter_can_be_changed(at: int, letter: str) -> None:
    assume(TEXT[at] != letter)
    with pytest.raises(TrustError):
        JoinToken.checked(TEXT[:at] + letter + TEXT[at + 1 :], SECRET, "demo", 0.0)


@given(text=st.text() | st.text("tf1.-_aA0={}[]", max_size=60).map(lambda text: f"tf1.{text}.00"))
def test_what_is_no_token_is_a_sentence(text: str) -> None:
    with pytest.raises(TrustError, match=r"make one on the head with `tierflow token make`"):
        JoinToken.checked(text, SECRET, "demo", 0.0)


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        None,
        asdict(TOKEN) | {"more": 1},
        {name: value for name, value in asdict(TOKEN).items() if name != "tier"},
        asdict(TOKEN) | {"expires": "never"},
        asdict(TOKEN) | {"own": 1},
        asdict(TOKEN) | {"site": None},
    ],
    ids=repr,
)
def test_a_token_of_another_shape_is_damaged(said: object) -> None:
    with pytest.raises(TrustError, match="damaged"):
        JoinToken.read(f"tf1.{body(said)}.00")


def test_a_nest_of_brackets_and_an_endless_text_are_no_tokens() -> None:
    nest = base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("=")
    for text in (f"tf1.{nest}.00", f"tf1.{'a' * 10**6}.00"):
        with pytest.raises(TrustError):
            JoinToken.read(text)
