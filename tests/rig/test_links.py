"""The contract of a link emulator, run for each that this machine has."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.rig.in_hosts import ECHO, ask, serving, transfer
from tierflow.errors import RigError
from tierflow.rig import LinkControl, Rig, TraceRow

pytestmark = pytest.mark.namespace


def test_a_round_trip_takes_the_delay_of_every_link(rig: Rig) -> None:
    with serving(rig.hosts["cloud-1"], ECHO):
        got, took = ask(rig.hosts["cam-1"], rig.hosts["cloud-1"], 5)
    assert got == 5
    assert took == pytest.approx(2 * 0.022, abs=0.004)


def test_a_transfer_runs_at_the_slowest_rate_and_counts_its_bytes_and_headers(rig: Rig) -> None:
    size = 1_000_000
    before = rig.counters(), rig.interfaces()
    arrived, took = transfer(rig.hosts["cam-1"], rig.hosts["cloud-1"], size)
    time.sleep(0.2)  # the last acknowledgement is still on its way
    after = rig.counters(), rig.interfaces()
    assert arrived == size
    assert 0.85 * 10e6 / 8 <= size / took <= 1.02 * 10e6 / 8
    carried = {
        name: (row.bytes - before[0][name].bytes, row.packets - before[0][name].packets)
        for name, row in after[0].items()
    }
    up_bytes, up_packets = carried["plant-1->region-1"]
    assert size + 40 * up_packets <= up_bytes <= size * 1.05 + 60 * up_packets
    received = after[1]["cloud-1"].received_bytes - before[1]["cloud-1"].received_bytes
    assert carried["region-1->cloud-1"] == carried["plant-1->region-1"]
    assert received == up_bytes
    sent = after[1]["cam-1"].sent_packets - before[1]["cam-1"].sent_packets
    lost = sum(after[0][n].dropped - before[0][n].dropped for n in ("cam-1->plant-1", "plant-1->region-1"))
    assert sent == up_packets + lost


def test_a_link_changes_while_it_runs(rig: Rig) -> None:
    cam, cloud = rig.hosts["cam-1"], rig.hosts["cloud-1"]
    with serving(cloud, ECHO):
        rig.set("plant-1<->region-1", delay=0.1)
        assert ask(cam, cloud)[1] == pytest.approx(2 * 0.102, abs=0.004)
        LinkControl(rig.state).set("plant-1->region-1", loss=1.0)
        assert ask(cam, cloud, patience=0.4)[0] == 0
        assert rig.control.links()["plant-1->region-1"]["loss"] == 1.0
        rig.set("plant-1->region-1", loss=0.0, rate=2e5 / 8, delay=0.02)
    _, took = transfer(cam, cloud, 50_000)
    assert 50_000 / took <= 1.02 * 2e5 / 8 * 1.1


@pytest.mark.parametrize("target", ["plant-1->region-1", "region-1->plant-1", "plant-1<->region-1", "plant-1", "cam-1"])
def test_a_cut_stops_what_it_names_and_a_heal_lets_it_pass(rig: Rig, target: str) -> None:
    cam, gateway, cloud = (rig.hosts[name] for name in ("cam-1", "gw-1", "cloud-1"))
    with serving(cloud, ECHO), serving(gateway, ECHO):
        rig.cut(target)
        assert ask(cam, cloud, patience=0.3)[0] == 0
        inside = ask(cam, gateway, patience=0.3)[0]
        assert inside == (target != "cam-1")
        rig.heal(target)
        assert ask(cam, cloud)[0] == 1


def test_a_connection_lives_through_a_short_cut(rig: Rig) -> None:
    rig.replay("plant-1->region-1", [TraceRow(0.3, loss=1.0), TraceRow(0.8, loss=0.0)])
    assert transfer(rig.hosts["cam-1"], rig.hosts["cloud-1"], 800_000)[0] == 800_000


def test_a_replay_changes_the_link_at_its_times(rig: Rig, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time,rate,delay\n0,8 Mbit/s,1 ms\n500 ms,16 Mbit/s,\n1 s,,9 ms\n")
    rig.replay("cam-1->plant-1", trace)
    now = rig.control.links()["cam-1->plant-1"]
    assert (now["rate"], now["delay"]) == (1e6, 0.001)
    time.sleep(0.7)
    assert rig.control.links()["cam-1->plant-1"]["rate"] == 2e6
    rig.replay("cam-1->plant-1", [TraceRow(0.0, delay=0.003)])  # takes the place of the first
    time.sleep(0.5)
    assert rig.control.links()["cam-1->plant-1"]["delay"] == 0.003


def test_a_cut_node_is_only_itself(rig: Rig) -> None:
    with serving(rig.hosts["cloud-1"], ECHO):
        rig.cut("cam-1")
        assert ask(rig.hosts["gw-1"], rig.hosts["cloud-1"])[0] == 1
        assert rig.counters()["plant-1->region-1"].packets > 0


@pytest.mark.parametrize("target", ["nobody", "cam-1->cloud-1"])
def test_an_unknown_target_is_an_error_and_changes_nothing(rig: Rig, target: str) -> None:
    before = rig.control.links()
    for change in (rig.cut, rig.heal, lambda target: rig.set(target, rate=1e6)):
        with pytest.raises(RigError, match="plant-1"):
            change(target)
    assert rig.control.links() == before


def test_requests_that_are_none_are_answered_with_the_problem(rig: Rig) -> None:
    with pytest.raises(RigError, match="no link can be"):
        rig.set("cam-1", rate=-1.0)
    with pytest.raises(RigError, match=r"cannot set this: no link can be .*; a rate is above 0"):
        rig.control.request("set", target="cam-1", change={"rate": 0})
    for do, what in (("dance", {}), ("set", {"target": "cam-1", "change": {"speed": 1}}), ("set", {"target": 4})):
        with pytest.raises(RigError, match="cannot"):
            rig.control.request(do, **what)
    assert rig.alive()
