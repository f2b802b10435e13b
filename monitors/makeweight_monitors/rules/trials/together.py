"""Cases that see nothing of each other, tried as one: promtool loads and evaluates all rules anew for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from makeweight_monitors.rules import generate
from makeweight_monitors.rules.rule import Group
from makeweight_monitors.rules.trials.cases import Case
from makeweight_monitors.rules.trials.fleet import Row


@dataclass(frozen=True)
class _Read:
    """A case, and the names that its alerts read, directly or through recordings: its series bear no other."""

    case: Case
    read: frozenset[str]

    def shares(self, other: _Read) -> set[tuple[str, str]]:
        """Those of its series that the alerts of the other read as well."""
        return {row.notation() for row in self.case.rows if row.name in other.read}

    def with_(self, other: _Read) -> _Read:
        there: dict[tuple[str, str], Row] = {row.notation(): row for row in (*self.case.rows, *other.case.rows)}
        both = replace(
            self.case,
            name=f"{self.case.name}; {other.case.name}",
            rows=tuple(there.values()),
            checks=self.case.checks + other.case.checks,
        )
        return _Read(both, self.read | other.read)


def together(cases: Iterable[Case], groups: tuple[Group, ...]) -> list[Case]:
    """The same checks in fewer cases.

    Two become one where the names that both read are of the same series in both: what an alert sees stays as it was.
    """
    joined: list[_Read] = []
    for case in cases:
        about = {name for check in case.checks for name in check.about}
        one = _Read(case, frozenset(generate.read_by(about, groups)))
        for at, other in enumerate(joined):
            if one.shares(other) == other.shares(one):
                joined[at] = other.with_(one)
                break
        else:
            joined.append(one)
    return [each.case for each in joined]
