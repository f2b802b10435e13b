"""What a search has on disk: whole trials, and those that were begun."""

from __future__ import annotations

import os
from pathlib import Path

from makeweight.measurement import Measurement
from makeweight.search.kept import drop_models, held
from makeweight.search.proposals import Proposal
from makeweight.search.trained import pool
from makeweight.search.trial import Journal, Trial

PROPOSAL = Proposal({"runtime": "onnxruntime", "steps": ["float16"]}, {"a": "1"}, {"generation": 2})
# a drop of nothing is a figure too
FIGURE = Measurement("accuracy", "trial-1", "fraction", 0.0, (0.0, 1.0), comparison="drop", against="baseline")


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    trial = Trial(0, PROPOSAL, "whole", None, (FIGURE,), {2: 0.5}, 1.5)
    journal.begin(0, PROPOSAL)
    assert journal.begun() == {0: PROPOSAL}
    assert journal.ended() == {}
    journal.end(trial)
    assert journal.ended() == {0: trial}


def test_a_damaged_trial_was_only_begun(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.begin(number, PROPOSAL)
        journal.end(Trial(number, PROPOSAL, "failed", "no", ()))
    (journal.at(1) / "trial.json").write_text('{"number": 1, "propos')
    assert list(journal.begun()) == [0, 1, 2]
    assert list(journal.ended()) == [0, 2]
    (journal.at(1) / "proposal.json").write_bytes(b"\xff\x00")
    assert list(journal.begun()) == [0]


def test_what_an_older_trial_of_that_number_left_is_not_taken_for_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(0, PROPOSAL)
    journal.end(Trial(0, PROPOSAL, "failed", "no", ()))
    journal.begin(0, Proposal({"runtime": "onnxruntime", "steps": ["quantize"]}, {"a": "2"}))
    assert journal.ended() == {}


def test_a_trial_that_has_ended_keeps_what_was_made_and_not_what_led_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(0, PROPOSAL)
    for name in ("artifact", "form", "trainings"):
        (journal.at(0) / name).mkdir()
    journal.end(Trial(0, PROPOSAL, "whole", None, ()))
    assert [path.name for path in sorted(journal.at(0).iterdir())] == ["artifact", "proposal.json", "trial.json"]


def test_attempts_count_until_a_trial_gets_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(0, PROPOSAL)
    assert journal.attempts(0) == 0
    journal.attempt(0, 2)
    (journal.at(0) / "trainings").mkdir()
    epoch = journal.at(0) / "trainings/kept.pt"
    noted = (journal.at(0) / "attempts.json").stat().st_mtime_ns
    epoch.touch()
    os.utime(epoch, ns=(noted - 1, noted - 1))
    assert journal.attempts(0) == 2
    os.utime(epoch, ns=(noted + 1, noted + 1))
    assert journal.attempts(0) == 1
    journal.attempt(0, 0)
    assert journal.attempts(0) == 0
    journal.attempt(0, 1)
    (journal.at(0) / ".artifact.x.part").mkdir()
    journal.end(Trial(0, PROPOSAL, "failed", "no", ()))
    assert [path.name for path in sorted(journal.at(0).iterdir())] == ["proposal.json", "trial.json"]


def test_another_search_drops_models_of_trials_that_have_ended_and_nothing_that_a_search_goes_on_from(
    tmp_path: Path,
) -> None:
    for name in ("earlier", "current"):
        journal = Journal(tmp_path / name)
        for number in range(2):
            journal.begin(number, PROPOSAL)
            (journal.at(number) / "artifact/files").mkdir(parents=True)
            for file in ("manifest.json", "model.onnx", "files/weights.bin"):
                (journal.at(number) / "artifact" / file).write_bytes(b"12345")
        journal.end(Trial(0, PROPOSAL, "whole", None, (FIGURE,)))
        (journal.at(1) / "trainings").mkdir()
        (journal.at(1) / "trainings/kept.pt").write_bytes(b"12345")
    (tmp_path / "lock").touch()
    before = {path.relative_to(tmp_path): path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    assert held(tmp_path) == sum(before.values())
    known = {name: Journal(tmp_path / name).ended() for name in ("earlier", "current")}
    drop_models(tmp_path, tmp_path / "current")
    gone = before.keys() - {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    assert {str(path) for path in gone} == {
        "earlier/trial-1/artifact/model.onnx",
        "earlier/trial-1/artifact/files/weights.bin",
    }
    assert {name: Journal(tmp_path / name).ended() for name in known} == known
    assert held(tmp_path) == sum(before.values()) - 2 * 5


def test_what_was_trained_with_other_code_or_data_goes(tmp_path: Path) -> None:
    (tmp_path / "trainings").mkdir()
    (tmp_path / "trainings/of-an-older-version.pt").touch()
    for origin in ("before", "now"):
        (tmp_path / "trainings" / origin).mkdir()
        (tmp_path / "trainings" / origin / "kept.pt").touch()
    assert [path.name for path in pool(tmp_path, "now").iterdir()] == ["kept.pt"]
    assert [path.name for path in (tmp_path / "trainings").iterdir()] == ["now"]
    assert not pool(tmp_path / "elsewhere", "now").exists()


def test_a_folder_that_is_not_there_has_no_trials(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none").begun() == {}
