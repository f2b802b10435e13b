"""`makeweight doctor`: what is installed, what this machine is, and what cannot be measured here and why."""

from __future__ import annotations

import json
import sys

import makeweight
from makeweight import registry
from makeweight.bench.probe import Facts
from makeweight.report import console
from makeweight_base.errors import Exit, UsageError
from makeweight_base.installed import installed
from makeweight_probe import ProbeFailed, memory, meters, sessions, slowing
from makeweight_probe import facts as machine
from makeweight_probe.job import Model


def run(*, as_json: bool) -> Exit:
    facts = Facts(machine.identity(), machine.conditions())
    extras = {extra: {name: installed(name) for name in packages} for extra, packages in registry.EXTRAS.items()}
    objections = _objections(facts)
    if as_json:
        told = {
            "makeweight": makeweight.__version__,
            "extras": extras,
            "identity": facts.identity,
            "conditions": facts.conditions,
            "unavailable": {what: reason for what, reason in objections.items() if reason},
        }
        print(json.dumps(told))
    else:
        _show(facts, extras, objections)
    return Exit.PASS


def _objections(facts: Facts) -> dict[str, str | None]:
    """What can be measured, and the reason why not here."""
    versions: list[str | None] = []
    broken: dict[str, str | None] = {}
    for name in registry.names("runtime"):
        try:
            versions.append(registry.load("runtime", name)().version())
        except UsageError as error:  # somebody else's, which lacks something
            broken[f"runtime {name}"] = error.what
    return {
        **broken,
        "latency": None if any(versions) else "needs `pip install 'makeweight[onnx]'`",
        "peak memory": _memory_objection(),
        "energy": _energy_objection(),
        "cold latency": None if machine.last_level_cache() else "this system does not tell how large its caches are",
        "frequency": _frequency_objection(facts),
        "throttling": _throttling_objection(),
        "execution_provider: cuda": _cuda_objection(),
        **{f"operators, {name}": _profile_objection(name) for name in facts.identity["runtimes"]},
    }


def _frequency_objection(facts: Facts) -> str | None:
    if facts.conditions["frequency_khz"] is not None:
        return None
    return "this machine shows no cpufreq, as most virtual machines do; so its governor cannot be set either"


def _throttling_objection() -> str | None:
    if slowing.is_told():
        return None
    return "this machine tells of no heat: no counters of throttling, no cooling devices, no firmware of a Raspberry Pi"


def _cuda_objection() -> str | None:
    """Why nothing can be measured on a GPU."""
    try:
        machine.identity("cuda")
    except ProbeFailed as error:
        return str(error)
    return None


def _profile_objection(runtime: str) -> str | None:
    """Why what its operators take is not known."""
    profiling = sessions.profiling(Model(runtime, "", 1))
    return profiling if isinstance(profiling, str) else None


def _memory_objection() -> str | None:
    try:
        memory.peak_bytes()
        memory.reset_peak()
    except memory.NoHighWaterMark as error:
        return str(error)
    return None


def _energy_objection() -> str | None:
    try:
        meters.find(None).close()
    except meters.NoMeter as error:
        return str(error)
    return None


def _show(facts: Facts, extras: dict[str, dict[str, str | None]], objections: dict[str, str | None]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    identity, conditions = facts.identity, facts.conditions
    table.add_row("makeweight", f"{makeweight.__version__}, Python {identity['python']}")
    for extra, packages in extras.items():
        missing = [name for name, found in packages.items() if found is None]
        have = ", ".join(f"{name} {found}" for name, found in packages.items() if found)
        hint = f"missing {', '.join(missing)}: pip install 'makeweight[{extra}]'" if missing else ""
        table.add_row(f"extra {extra}", "; ".join(part for part in (have, hint) if part))
    table.add_row("CPU", f"{identity['cpu']}, {identity['cores']} cores, {identity['machine']}, {identity['system']}")
    table.add_row("instructions", ", ".join(identity["isa"]) or "none of those that speed up compressed models")
    load, governor = conditions["load"], conditions["governor"]
    busy = load is not None and identity["cores"] and load > identity["cores"] / 2
    table.add_row(
        "load", "unknown" if load is None else f"{load:.2f}" + (" (busy: expect a high noise floor)" if busy else "")
    )
    table.add_row("governor", governor or "not told by this system")
    for what, reason in objections.items():
        table.add_row(what, "can be measured" if reason is None else f"unavailable: {reason}")
    console.show(table, sys.stdout)
