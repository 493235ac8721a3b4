from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tierflow.testing
from jobs.anomaly.cloud import LARGER
from jobs.anomaly.device import Source
from jobs.anomaly.fleet import posts, sources
from jobs.anomaly.outcome import Outcome
from jobs.anomaly.run import run
from jobs.anomaly.series import SeriesError
from tests.jobs.conftest import CLUSTERS, play
from tierflow import Member


def members(cluster: str) -> tuple[Member, ...]:
    with tierflow.testing.fabric(CLUSTERS / cluster):
        return tierflow.nodes()


@pytest.mark.parametrize("seed", range(5))
def test_every_labelled_anomaly_is_found_and_the_baselines_do_no_better(seed: int) -> None:
    outcome = play("campus.yaml", seed)
    model, zscore, seasonal = (outcome.found(method) for method in ("model", "zscore", "seasonal"))
    assert model[:2] == (11, 11)
    assert model[0] >= max(zscore[0], seasonal[0])
    assert model[2] <= min(zscore[2], seasonal[2])
    for one in outcome.series:
        found = [one.tally(method).found for method in ("model", "zscore", "seasonal")]
        assert found[0] >= max(found[1:]), one.card.name


def test_data_stays_where_it_is(outcome: Outcome) -> None:
    where = {actor.role: (actor.node, actor.site) for actor in outcome.actors}
    assert {f"device: {post.source.name}": post.node for post in posts(members("demo.yaml"), [])} == {
        role: node for role, (node, _) in where.items() if role.startswith("device")
    }
    assert where["edge of plant-1"][1] == "plant-1"
    assert all(actor.why for actor in outcome.actors)


def test_a_model_of_raw_readings_is_trained_in_their_site_and_each_training_says_why_there(outcome: Outcome) -> None:
    plant = {member.name for member in members("demo.yaml") if member.site == "plant-1"}
    smaller = [one for one in outcome.trained if one.name != LARGER]
    assert len(smaller) == 8
    assert {one.placed.node for one in smaller} <= plant
    assert len(outcome.trained) == 10
    assert all(one.placed.why for one in outcome.trained)


def test_scores_are_the_same_wherever_things_run(outcome: Outcome) -> None:
    with tierflow.testing.fabric(CLUSTERS / "demo.yaml") as fabric:
        fabric.lose("cam-2")
        fabric.lose("gw-1")
        other = run([], seed=0, tell=lambda *_: None)
    assert {actor.node for actor in other.actors} != {actor.node for actor in outcome.actors}
    for one, elsewhere in zip(outcome.series, other.series, strict=True):
        assert np.array_equal(one.scores["model"], elsewhere.scores["model"]), one.card.name


def test_new_versions_are_taken_up_while_scoring_goes_on(outcome: Outcome) -> None:
    for one in outcome.series:
        assert set(one.versions) == {1, 2}, one.card.name
        assert sum(one.versions.values()) >= len(one.labels) // 8
    kept = {(version.model, version.number) for version in outcome.versions}
    assert {("larger model", 1), ("larger model", 2), ("ecg", 1), ("ecg", 2)} <= kept


def test_less_goes_to_the_cloud_than_the_readings_are(outcome: Outcome) -> None:
    assert 0 < outcome.to_cloud < outcome.raw_size
    assert not any(payload.what.endswith("raw") for payload in outcome.payloads if payload.target == "cloud")


def test_every_test_row_is_scored_once_and_the_same_again(outcome: Outcome) -> None:
    for one, again in zip(outcome.series, play("demo.yaml", 0).series, strict=True):
        assert len(one.labels) == one.card.test_rows
        for method, scores in one.scores.items():
            assert np.array_equal(scores, again.scores[method]), (one.card.name, method)


def test_stopping_keeps_what_was_scored() -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "score on the devices" and done == 10:
            raise KeyboardInterrupt

    with tierflow.testing.fabric(CLUSTERS / "demo.yaml"):
        outcome = run([], seed=0, tell=stop)
    assert outcome.stopped
    assert sum(len(one.labels) for one in outcome.series) >= 9 * 256
    assert len(outcome.actors) == 6


def test_no_drawing_leaves_the_site_when_it_is_asked_not_to() -> None:
    with tierflow.testing.fabric():
        outcome = run([Source("water", "water")], seed=0, tell=lambda *_: None, drawings=False)
    assert outcome.series[0].sketch is None
    assert not any("drawings" in payload.what for payload in outcome.payloads)


def test_more_devices_than_series_get_numbered_ones() -> None:
    assert [source.name for source in sources(8)][5:] == ["appliances", "pressure-2", "ecg-2"]
    assert len(sources(1)) == 4


def test_a_fabric_without_devices() -> None:
    with pytest.raises(SeriesError, match="needs a node of the tier device, and the fabric has no nodes"):
        posts((), [])


def test_a_bad_file_is_an_error_from_the_device_that_reads_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    with tierflow.testing.fabric(), pytest.raises(SeriesError, match="is empty"):
        run([Source("empty", file=empty)], seed=0, tell=lambda *_: None)
