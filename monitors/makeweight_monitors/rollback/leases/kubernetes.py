"""A `Lease` of Kubernetes (coordination.k8s.io/v1), for controllers on several machines.

Its holder renews it; another takes it once it has stood still for as long as its holder said it would last, by the
other's own clock since it last saw it change: no other clock is trusted. The holder stops to act before that
time is over, counted from before it asked for the last renewal. So two never act at once, as long as no change takes
longer than what is left (a third of the time). Source: leader election of client-go, and the Lease's own OpenAPI.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.kubernetes import Cluster, Conflict, Kind, NotFound

JOURNAL = "makeweight/journal"
"""The annotation in which its holder tells what the next one has to know."""
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
_log = logging.getLogger("makeweight_monitors")


class KubernetesLease:
    """One Lease, made where there is none.

    Args:
        identity: of this process, and no other.
        lasts: whole seconds without a renewal after which another may take it; at least some looks.
        monotonic: seconds of a clock that is never set.
        clock: Unix time in seconds, for people who read the Lease.
        hands: what the next holder has to know, as a text.
        takes_over: what the one before had to say, and who that was.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        identity: str,
        lasts: int,
        monotonic: Callable[[], float],
        clock: Callable[[], float],
        hands: Callable[[], str],
        takes_over: Callable[[str, str], None],
    ) -> None:
        self.cluster, self.name, self.identity, self.lasts = cluster, name, identity, lasts
        self.monotonic, self.clock = monotonic, clock
        self.hands, self.takes_over = hands, takes_over
        self._before = ""
        """Who had it last that was not us."""
        self._told = False
        """Whether that one's word was taken over."""
        self._seen: dict[str, Any] | None = None
        """As it was last read or written."""
        self._changed = 0.0
        """When it was last seen to differ from before (monotonic)."""
        self._renewed: float | None = None
        """When the last renewal that succeeded was asked for (monotonic); None: it is not ours."""

    def take(self) -> bool:
        began = self.monotonic()
        try:
            return self._take(began)
        except EnvironmentFailed as error:
            if self._renewed is None:
                raise
            without = self.monotonic() - self._renewed
            if without < self.lasts * 2 / 3:
                _log.warning("%s; the lease is ours for now", error)
                return True
            self._renewed = None
            raise EnvironmentFailed(
                f"the lease was not renewed for {without:.0f} s, and another may take it: nothing is done here "
                f"({error.what})",
                where=error.where,
                do=error.do,
            ) from error

    def give_back(self) -> None:
        if self._renewed is None or self._seen is None:
            return
        self._renewed = None
        with contextlib.suppress(EnvironmentFailed):  # it runs out by itself
            self._write(self._seen, {"holderIdentity": "", "leaseDurationSeconds": 1}, self.hands())

    def _take(self, began: float) -> bool:
        found = self._read()
        if found is None:
            return self._create(began)
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder != self.identity:
            self._renewed, self._told, self._before = None, False, holder or self._before
            if holder and self.monotonic() - self._changed < (spec.get("leaseDurationSeconds") or self.lasts):
                return False
        now = self._now()
        wanted: dict[str, Any] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.lasts,
            "renewTime": now,
        }
        if holder != self.identity:
            wanted |= {"acquireTime": now, "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}
        try:
            self._write(found, wanted, self.hands() if self._told else None)
        except Conflict:
            self._renewed = None  # another was faster; who it is will be read
            return False
        if not self._told:
            said = _annotations(found).get(JOURNAL)
            if said is not None:
                self._take_over(said)
            self._told = True
        self._renewed = began
        return True

    def _take_over(self, said: str) -> None:
        try:
            self.takes_over(said, self._before)
        except EnvironmentFailed as error:
            error.where = error.where or f"{self.cluster.where(LEASE, self.name)}: {JOURNAL}"
            raise

    def _read(self) -> dict[str, Any] | None:
        try:
            found = self.cluster.get(LEASE, self.name)
        except NotFound:
            return None
        self._observe(found)
        return found

    def _create(self, began: float) -> bool:
        now = self._now()
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.lasts,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        try:
            self._observe(self.cluster.create(LEASE, self.name, {"spec": spec}))
        except Conflict:
            return False
        self._renewed, self._told = began, True
        return True

    def _write(self, seen: Mapping[str, Any], spec: Mapping[str, Any], hands: str | None = None) -> None:
        change: dict[str, Any] = {"spec": spec}
        if hands is not None and hands != _annotations(seen).get(JOURNAL):
            change["metadata"] = {"annotations": {JOURNAL: hands}}
        self._observe(self.cluster.change(LEASE, seen, change))

    def _observe(self, found: dict[str, Any]) -> None:
        if self._seen is None or found.get("spec") != self._seen.get("spec"):
            self._changed = self.monotonic()
        self._seen = found

    def _now(self) -> str:
        """As a MicroTime is written."""
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _annotations(lease: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = lease["metadata"].get("annotations") or {}
    return found
