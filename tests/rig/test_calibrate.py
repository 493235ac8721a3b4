from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.conftest import PAIR
from tierflow.errors import RigError
from tierflow.rig import Rig, calibrate
from tierflow.topology import parse

pytestmark = pytest.mark.namespace


@pytest.mark.parametrize("rate", ["1 Mbit/s", "100 Mbit/s"])
def test_measured_is_what_was_asked(state: Path, rate: str) -> None:
    with Rig.up(parse(PAIR.replace("rate: 10 Mbit/s", f"rate: {rate}").replace("20 Mbit/s", rate)), state) as rig:
        rows = calibrate(rig)
    assert {row.link for row in rows} == {
        "cam-1->plant-1", "plant-1->cam-1", "plant-1->region-1", "region-1->plant-1",
    }  # fmt: skip
    for row in rows:
        assert row.path == (row.link,)
        assert abs(row.rate_error) < 0.1, row
        assert abs(row.rtt_error) < 0.002, row


def test_a_cut_link_is_not_measured(rig: Rig) -> None:
    rig.cut("cam-1->plant-1")
    with pytest.raises(RigError, match="cannot be measured: cam-1->plant-1"):
        calibrate(rig)
