"""What other jobs handed over: a device speaks for itself, and the folders that bring it lead nowhere else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from makeweight import measurement
from makeweight.ci import collected, handover
from makeweight.layout import OWN
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base.errors import EnvironmentFailed
from unit.ci.conftest import Made, figure

GROWN, TIMED = f"{OWN}/regressions/local.json", "reports/int8/local.json"
Hand = Callable[..., None]


@pytest.fixture
def project(tmp_path: Path, made: Made) -> Project:
    (tmp_path / "checkout").mkdir()
    return replace(
        made(("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local}\n")), root=tmp_path / "checkout"
    )


@pytest.fixture
def given(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    return tmp_path / "given"


@pytest.fixture
def hand(given: Path) -> Hand:
    def write(job: str, path: str, content: str | list[Measurement]) -> None:
        place = given / job / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else measurement.dumps(content))

    return write


def timed(**more: Any) -> Measurement:
    return figure("latency_p50", 1e-3, unit="s", **{"device": "local", **more})


def test_a_devices_own_figures_are_taken(project: Project, given: Path, hand: Hand) -> None:
    hand("local", GROWN, [figure("latency_p50", 0.1, device="local", comparison="regression")])
    hand("local", TIMED, [timed(), timed(variant="baseline")])
    hand("local", "reports/devices/local.json", "{}")
    assert collected.lay_devices(project, given) == (("pi5",), [])
    assert (project.root / TIMED).read_bytes() == (given / "local" / TIMED).read_bytes()
    assert (project.root / GROWN).exists()
    assert (project.root / "reports/devices/local.json").exists()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (TIMED, [timed(), figure("accuracy", 0.0, unit="fraction", comparison="drop")]),  # no device measures that
        (TIMED, [timed(device="pi5")]),
        (TIMED, [timed(variant="other")]),
        (GROWN, [figure("size", 0.0, comparison="regression")]),
        (GROWN, [figure("latency_p50", 0.0, device="pi5", comparison="regression")]),
        (GROWN, [figure("latency_p50", 0.0, device="local", variant="baseline", comparison="regression")]),
        (TIMED, "{"),
        (TIMED, "[" * 10**5),
        (TIMED, '{"measurements": [{"metric": "size", "variant": "int8", "unit": "B", "value": 1}]}'),
    ],
)
def test_a_device_that_speaks_for_others_is_not_heard_at_all(
    project: Project, given: Path, hand: Hand, path: str, content: str | list[Measurement]
) -> None:
    """What is read last counts: a figure of another origin in its file would take the place of the honest one."""
    hand("local", GROWN, [])
    hand("local", TIMED, [timed()])
    hand("local", path, content)
    silent, (told,) = collected.lay_devices(project, given)
    assert silent == ("local", "pi5")
    assert f"`{path}`" in told
    assert [entry for entry in project.root.rglob("*") if entry.is_file()] == []


def test_bytes_that_are_no_text_are_left_aside(project: Project, given: Path, hand: Hand) -> None:
    hand("local", GROWN, [])
    (given / "local/reports/int8").mkdir(parents=True)
    (given / "local" / TIMED).write_bytes(b"\xff\xfe")
    silent, notices = collected.lay_devices(project, given)
    assert "local" in silent
    assert len(notices) == 1


@pytest.mark.parametrize("link", ["reports", "reports/int8", TIMED])
def test_no_link_on_the_way_is_followed(project: Project, given: Path, hand: Hand, tmp_path: Path, link: str) -> None:
    hand("local", GROWN, [])
    hand("secret", TIMED, [timed()])
    (given / "secret").rename(tmp_path / "secret")
    place = given / "local" / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "secret" / link)
    assert (given / "local" / TIMED).read_text()
    collected.lay_devices(project, given)
    assert not (project.root / TIMED).exists()


def test_a_link_in_place_of_a_whole_device_is_a_device_that_did_not_answer(
    project: Project, given: Path, hand: Hand, tmp_path: Path
) -> None:
    hand("local", GROWN, [])
    hand("local", TIMED, [timed()])
    (given / "local/.makeweight").rename(tmp_path / "elsewhere")
    (given / "local/.makeweight").symlink_to(tmp_path / "elsewhere")
    assert collected.lay_devices(project, given)[0] == ("local", "pi5")


def compressed(hand: Hand) -> None:
    hand("compressed", f"{OWN}/state.json", "{}")


def lay(project: Project, given: Path) -> None:
    collected.lay(project.root, given, handover.close(given / "compressed", "compress"))


def test_what_the_change_itself_brings_is_gone_even_where_nothing_takes_its_place(
    project: Project, given: Path, hand: Hand, tmp_path: Path
) -> None:
    compressed(hand)
    hand("compressed", TIMED, "from the job")
    forged = tmp_path / "forged"
    (forged / "int8").mkdir(parents=True)
    (forged / "int8/local.npz").write_text("kept")
    (project.root / "samples").symlink_to(forged)
    (project.root / "reports").symlink_to(forged)
    (project.root / "artifacts").write_text("in the way")
    lay(project, given)
    assert sorted(entry.name for entry in project.root.iterdir()) == [OWN, "reports"]
    assert not (project.root / "reports").is_symlink()
    assert (project.root / TIMED).read_text() == "from the job"
    assert [path.name for path in forged.rglob("*")] == ["int8", "local.npz"]


def test_links_among_what_was_made_bring_nothing_in(project: Project, given: Path, hand: Hand, tmp_path: Path) -> None:
    compressed(hand)
    digest = handover.close(given / "compressed", "compress")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "token").write_text("s3cret")
    (given / "compressed/reports").symlink_to(secret)
    (given / "compressed/samples").mkdir()
    (given / "compressed/samples/deep").symlink_to(secret)
    (given / "compressed/dvc.lock").symlink_to(secret / "token")
    with pytest.raises(EnvironmentFailed, match=r"`dvc\.lock` was added since"):
        collected.lay(project.root, given, digest)
    assert list(project.root.iterdir()) == []


def test_the_artifact_may_hold_no_more_and_nothing_else(project: Project, given: Path, hand: Hand) -> None:
    """Any job of the run can put one of that name in its place."""
    compressed(hand)
    hand("compressed", f"{OWN}/base/int8/manifest.json", "{}")
    digest = handover.close(given / "compressed", "compress")
    hand("compressed", GROWN, [figure("latency_p50", 0.0, device="local", comparison="regression")])
    hand("compressed", f"{OWN}/base/int8/manifest.json", "[]")
    with pytest.raises(EnvironmentFailed, match=r"manifest\.json` changed since, .*local\.json` was added since"):
        collected.lay(project.root, given, digest)
    assert list(project.root.iterdir()) == []


def test_the_lock_is_the_one_that_the_job_made(project: Project, given: Path, hand: Hand, tmp_path: Path) -> None:
    compressed(hand)
    hand("compressed", "dvc.lock", "made")
    (tmp_path / "elsewhere").write_text("kept")
    (project.root / "dvc.lock").symlink_to(tmp_path / "elsewhere")
    lay(project, given)
    assert (project.root / "dvc.lock").read_text() == "made"
    assert (tmp_path / "elsewhere").read_text() == "kept"
