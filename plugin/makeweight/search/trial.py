"""A trial: one recipe that was tried, and all that came of it, in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from makeweight import measurement
from makeweight.layout import TRAININGS
from makeweight.measurement import Measurement
from makeweight.search.proposals import Proposal
from makeweight_base import atomic

Ended = Literal["whole", "form", "stopped", "failed"]
"""How it ended: measured in all that the budget asks; given up for the size or time of its untrained form; given up in
training, for others were better by then; or it cannot be made."""

ARTIFACT, FORM = "artifact", "form"
"""In the folder of a trial, those of what was made of its recipe, and of its untrained form."""
_PROPOSAL, _TRIAL, _ATTEMPTS, _OF_FORM = "proposal.json", "trial.json", "attempts.json", "form.json"
# What serves to carry a trial through, and nobody afterwards; also what a process that was killed had written by half.
_PASSING = (FORM, TRAININGS, _ATTEMPTS, _OF_FORM, ".*.part")


@dataclass(frozen=True)
class Trial:
    """What came of one proposal."""

    number: int
    proposal: Proposal
    ended: Ended
    reason: str | None
    """Why it was not carried through."""
    figures: tuple[Measurement, ...]
    rungs: Mapping[int, float] = field(default_factory=dict)
    """See `halving.Rungs`."""
    seconds: float = 0.0
    """Of making and measuring it, in every process that had a part in it."""

    @property
    def name(self) -> str:
        return name_of(self.number)


def name_of(number: int) -> str:
    """What a trial's figures bear as their variant; numbers are shown from 1."""
    return f"trial-{number + 1}"


def plain(trial: Trial) -> dict[str, Any]:
    """As a JSON object."""
    own = asdict(trial)
    records = [
        {key: value for key, value in each.items() if value is not None and value is not False}
        for each in own["figures"]
    ]
    return {**own, "name": trial.name, "figures": records}


@dataclass(frozen=True)
class Journal:
    """The trials of one search on disk: what is begun has a proposal, what has ended is there whole."""

    folder: Path

    def at(self, number: int) -> Path:
        """The folder of a trial."""
        return self.folder / name_of(number)

    def begin(self, number: int, proposal: Proposal) -> None:
        """Raises:
        EnvironmentFailed: the disk is full or not writable.
        """
        self._leave(number)
        atomic.write_json(self.at(number) / _PROPOSAL, asdict(proposal))

    def end(self, trial: Trial) -> None:
        """Keep what came of it, and what was made of its recipe; what only led there goes.

        Raises:
            EnvironmentFailed: the disk is full or not writable.
        """
        atomic.write_json(self.at(trial.number) / _TRIAL, plain(trial))
        self._leave(trial.number)

    def trains(self, number: int) -> bool:
        """Whether a trial is in training, so that its untrained form was looked at and is not given up."""
        return (self.at(number) / TRAININGS).is_dir()

    def keep_form(self, number: int, figures: Sequence[Measurement]) -> None:
        """Keep what was measured of a trial's untrained form, for its training may be cut off.

        Raises:
            EnvironmentFailed: the disk is full or not writable.
        """
        atomic.write_json(self.at(number) / _OF_FORM, [asdict(figure) for figure in figures])

    def form(self, number: int) -> tuple[Measurement, ...]:
        """What is known of a trial's untrained form."""
        try:
            told = json.loads((self.at(number) / _OF_FORM).read_text(encoding="utf-8"))
            return tuple(map(measurement.of, told))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return ()  # not looked at yet, or by an earlier version

    def attempt(self, number: int, count: int) -> None:
        """Note, before a trial is begun, that this is the `count`th time, and how many are left once it is given back
        in order: what stays behind are those in which the search itself was ended.

        Raises:
            EnvironmentFailed: the disk is full or not writable.
        """
        if count:
            atomic.write_json(self.at(number) / _ATTEMPTS, count)
        else:
            (self.at(number) / _ATTEMPTS).unlink(missing_ok=True)

    def attempts(self, number: int) -> int:
        """In how many attempts at a trial the search itself was ended. Where its training was kept after a further
        epoch in the last of these, it did get on, and the earlier ones count no more."""
        noted = self.at(number) / _ATTEMPTS
        try:
            count, since = json.loads(noted.read_text(encoding="utf-8")), noted.stat().st_mtime_ns
        except (OSError, ValueError):
            return 0
        if not isinstance(count, int):
            return 0
        kept = (self.at(number) / TRAININGS).glob("*.pt")
        return 1 if any(path.stat().st_mtime_ns > since for path in kept) else count

    def _leave(self, number: int) -> None:
        for name in _PASSING:
            for path in self.at(number).glob(name):
                atomic.remove(path)

    def begun(self) -> dict[int, Proposal]:
        """What was proposed, by number, with no gap: what lies behind a file that cannot be read counts for nothing."""
        found: dict[int, Proposal] = {}
        while True:
            try:
                data = json.loads((self.at(len(found)) / _PROPOSAL).read_text(encoding="utf-8"))
                found[len(found)] = Proposal(**data)
            except (OSError, ValueError, TypeError):
                return found

    def ended(self) -> dict[int, Trial]:
        """What has ended, by number. What a folder tells of another proposal than was begun there last is of a trial
        whose number was given again."""
        found = {}
        for number, begun in self.begun().items():
            try:
                data = json.loads((self.at(number) / _TRIAL).read_text(encoding="utf-8"))
                data.pop("name")
                figures = tuple(map(measurement.of, data.pop("figures")))
                rungs = {int(rung): float(figure) for rung, figure in data.pop("rungs").items()}
                proposal = Proposal(**data.pop("proposal"))
                if proposal == begun:
                    found[number] = Trial(**data, proposal=proposal, figures=figures, rungs=rungs)
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                continue  # not there, or damaged: it is tried again
        return found
