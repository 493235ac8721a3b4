from __future__ import annotations

from jobs.anomaly.traffic import route

LINKS = ["cam-1->plant-1", "plant-1->cam-1", "plant-1->region-1", "region-1->plant-1", "region-1->cloud-1"]


def test_the_route_is_the_shortest_one_and_never_backwards() -> None:
    assert route(LINKS, "cam-1", "cloud-1") == ["cam-1->plant-1", "plant-1->region-1", "region-1->cloud-1"]
    assert route([*LINKS, "cam-1->cloud-1"], "cam-1", "cloud-1") == ["cam-1->cloud-1"]


def test_there_may_be_no_route() -> None:
    assert route(LINKS, "cloud-1", "cam-1") == []
    assert route(LINKS, "cam-1", "cam-1") == []
    assert route([], "cam-1", "cloud-1") == []
