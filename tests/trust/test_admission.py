"""Who gets which name, and which members are not what they were given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierflow.errors import TrustError
from tierflow.trust import Admission, Claim, Grant, JoinToken, admit, fault, settled

FLEET = JoinToken("f1", "demo", "device", "plant-1", "", 9e9, "10.0.0.1:6380", "")
NAMED = replace(FLEET, id="n1", name="cam-8")
OWN = replace(FLEET, name="cam-8", own=True)
GRANTS = {
    "f1": Grant("f1", "device", "plant-1", "", 9e9, 0.0),
    "n1": Grant("n1", "device", "plant-1", "cam-8", 9e9, 0.0),
    "r1": Grant("r1", "device", "plant-1", "", 9e9, 0.0, revoked=1.0),
}
DECLARED = {"gw-1": ("edge", "plant-1"), "cam-1": ("device", "plant-1"), "cloud-1": ("cloud", "region-1")}
CAM_8 = Admission("device", "plant-1", "10.0.0.8", "f1")


def asks(
    token: JoinToken, name: str = "", admitted: dict[str, Admission] | None = None, address: str = "10.0.0.9"
) -> Claim:
    return admit(token, Claim(name, "", "", address), admitted or {}, DECLARED, GRANTS)


def test_a_token_gives_its_tier_and_site_whatever_is_asked() -> None:
    claim = Claim("cam-9", "cloud", "region-1", "10.0.0.9")
    assert admit(FLEET, claim, {}, DECLARED, GRANTS) == Claim("cam-9", "device", "plant-1", "10.0.0.9")
    assert asks(NAMED).name == asks(NAMED, "cam-8").name == "cam-8"
    assert asks(FLEET, "cam-1").tier == "device"


@pytest.mark.parametrize(
    ("token", "name", "sentence"),
    [
        (NAMED, "cam-9", "n1 is for the node cam-8, not for cam-9; join as cam-8, or ask for a token for cam-9"),
        (FLEET, "", "names no node; give one with --name"),
        (FLEET, "Cam 9", "'Cam 9' is no name of a node; give one with --name"),
        (FLEET, "gw-1", "gw-1 is of tier edge at site plant-1 in the cluster file, and the join token f1 gives device"),
        (replace(FLEET, id="r1"), "cam-9", "the join token r1 was revoked; ask for another"),
        (replace(FLEET, id="x1"), "cam-9", "the join token x1 is not known to this fabric; ask for another"),
    ],
)
def test_what_was_not_granted_is_a_sentence(token: JoinToken, name: str, sentence: str) -> None:
    with pytest.raises(TrustError, match=sentence):
        asks(token, name)


def test_a_name_that_is_taken_is_its_holders_only() -> None:
    admitted = {"cam-8": CAM_8, "cam-1": Admission("device", "plant-1", "10.0.0.3")}
    with pytest.raises(TrustError, match=r"the name cam-8 is taken; .*tierflow token make --name cam-8"):
        asks(FLEET, "cam-8", admitted)
    with pytest.raises(TrustError, match="the name cam-1 belongs to a node that `tierflow up` started"):
        asks(replace(NAMED, name="cam-1"), "cam-1", admitted)
    assert asks(OWN, "", admitted).name == asks(NAMED, "", admitted).name == "cam-8"
    revoked = {"cam-8": replace(CAM_8, grant="r1")}
    assert asks(FLEET, "cam-8", revoked).name == "cam-8"


def test_nobody_takes_the_address_of_a_node_that_up_started() -> None:
    admitted = {"cloud-1": Admission("cloud", "region-1", "10.0.0.1")}
    with pytest.raises(TrustError, match=r"10\.0\.0\.1 is the address of cloud-1, .*; join from another one"):
        asks(FLEET, "cam-9", admitted, "10.0.0.1")


def test_an_address_is_one_nodes() -> None:
    admitted = settled({"cam-8": CAM_8}, Claim("cam-9", "device", "plant-1", CAM_8.address), "f1")
    assert admitted["cam-9"].address == CAM_8.address
    cam_8 = Claim("cam-8", "device", "plant-1", CAM_8.address)
    assert fault(cam_8, admitted, GRANTS) == "cam-8 was admitted at an address that another node has now"
    assert fault(cam_8, settled(admitted, cam_8, "f1"), GRANTS) is None


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (Claim("cam-8", "device", "plant-1", "10.0.0.8"), None),
        (Claim("cam-8", "cloud", "plant-1", "10.0.0.8"), "cam-8 was admitted to tier device at site plant-1"),
        (Claim("cam-8", "device", "plant-2", "10.0.0.8"), "cam-8 was admitted to tier device at site plant-1"),
        (Claim("cam-8", "device", "plant-1", "10.0.0.9"), "cam-8 was admitted at 10.0.0.8"),
        (Claim("cam-9", "device", "plant-1", "10.0.0.8"), "no node called cam-9 was admitted"),
        (Claim("x-123", "", "", "10.0.0.8"), "it has no labels of tierflow: it was not started with `tierflow join`"),
        (Claim("old", "device", "plant-1", "10.0.0.7"), "the join token it came by (r1) was revoked"),
    ],
)
def test_a_member_is_what_it_was_given_or_refused(claim: Claim, why: str | None) -> None:
    admitted = {"cam-8": CAM_8, "old": Admission("device", "plant-1", "10.0.0.7", "r1")}
    assert fault(claim, admitted, GRANTS) == why


names = st.sampled_from(["cam-1", "cam-8", "cam-9", "gw-1", "cloud-1"])
addresses = st.sampled_from(["10.0.0.1", "10.0.0.8", "10.0.0.9"])
tokens = st.sampled_from([FLEET, NAMED, OWN, replace(FLEET, id="r1"), replace(FLEET, tier="edge", id="n1")])


@given(knocks=st.lists(st.tuples(tokens, names, addresses), max_size=12))
def test_whoever_was_let_in_is_no_fault_and_nobody_shares_an_address(
    knocks: list[tuple[JoinToken, str, str]],
) -> None:
    admitted = {"cloud-1": Admission("cloud", "region-1", "10.0.0.1")}
    for token, name, address in knocks:
        try:
            claim = admit(token, Claim(name, "", "", address), admitted, DECLARED, GRANTS)
        except TrustError:
            continue
        admitted = settled(admitted, claim, token.id)
        assert fault(claim, admitted, GRANTS) is None
        assert DECLARED.get(claim.name, (token.tier, token.site)) == (claim.tier, claim.site)
    assert admitted["cloud-1"] == Admission("cloud", "region-1", "10.0.0.1")
    used = [was.address for was in admitted.values() if was.address]
    assert len(used) == len(set(used))
