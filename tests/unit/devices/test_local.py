"""This machine as a device: facts that can be part of a key."""

import json

import pytest

from makeweight.devices import local
from makeweight.devices.device import DeviceOptions
from makeweight.devices.local import Local

DEVICE = Local("here", DeviceOptions())


def test_the_identity_is_the_same_each_time_and_survives_json() -> None:
    """Else no key would ever match: it is compared with what a file holds."""
    identity = DEVICE.facts().identity
    assert identity == DEVICE.facts().identity
    assert json.loads(json.dumps(identity)) == identity
    assert identity["cores"] >= 1
    assert identity["emulated"] is False


def test_conditions_are_no_part_of_the_identity() -> None:
    facts = DEVICE.facts()
    assert not facts.identity.keys() & facts.conditions.keys()
    assert set(facts.conditions) == {"load", "governor", "frequency_khz", "temperature_millicelsius"}


def test_without_proc_the_facts_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(local, "_cpuinfo", dict)
    monkeypatch.setattr(local, "_first_line", lambda _: None)
    facts = DEVICE.facts()
    assert facts.identity["isa"] == []
    assert facts.identity["cpu"]
    assert facts.conditions["governor"] is None
