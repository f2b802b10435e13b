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
from makeweight_probe import ProbeFailed, lacking
from makeweight_probe import facts as machine
from makeweight_probe.lacking import Lack


def run(*, as_json: bool) -> Exit:
    facts = Facts(machine.identity(), machine.conditions())
    extras = {extra: {name: installed(name) for name in packages} for extra, packages in registry.EXTRAS.items()}
    lacks = _lacks(facts)
    if as_json:
        told = {
            "makeweight": makeweight.__version__,
            "extras": extras,
            "identity": facts.identity,
            "conditions": facts.conditions,
            "unavailable": {what: lack[0] for what, lack in lacks.items() if lack is not None},
            "remedies": {what: lack[1] for what, lack in lacks.items() if lack is not None},
        }
        print(json.dumps(told))
    else:
        _show(facts, extras, lacks)
    return Exit.PASS


def _lacks(facts: Facts) -> dict[str, Lack | None]:
    """What can be measured, and where it cannot be here the reason and what to do."""
    versions: list[str | None] = []
    broken: dict[str, Lack | None] = {}
    for name in registry.names("runtime"):
        try:
            versions.append(registry.load("runtime", name)().version())
        except UsageError as error:  # somebody else's, which lacks something
            broken[f"runtime {name}"] = error.what, error.do or "Mend it, or take it out."
    told = lacking.told(facts.identity, facts.conditions)
    if not facts.identity["emulated"]:
        none = "no runtime is installed", "Install one: `pip install 'makeweight[onnx]'`."
        told["latency"] = None if any(versions) else none
    return {**broken, **told, "execution_provider: cuda": _of_cuda()}


def _of_cuda() -> Lack | None:
    """What is lacking to measure on a GPU."""
    try:
        machine.identity("cuda")
    except ProbeFailed as error:
        return str(error), "Only a device of `execution_provider: cuda` needs it."
    return None


def _show(facts: Facts, extras: dict[str, dict[str, str | None]], lacks: dict[str, Lack | None]) -> None:
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
    table.add_row("governor", conditions["governor"] or "not told by this system")
    if (quota := conditions["throttling"]["quota"]) is not None:
        most = f"{quota['processors']:.3g} of {identity['cores']} processors, by the limit of its control group: "
        table.add_row("at once", f"{most}a benchmark that this holds back is repeated, then inconclusive")
    known = _known(facts)
    for what, lack in lacks.items():
        told = known.get(what, "can be measured")
        table.add_row(what, told if lack is None else f"unavailable: {lack[0]}. {lack[1]}")
    console.show(table, sys.stdout)


def _known(facts: Facts) -> dict[str, str]:
    """Of what can be measured how it is now, where that says something of a benchmark here."""
    load, cores = facts.conditions["load"], facts.identity["cores"]
    if load is None:
        return {}
    busy = cores and load > cores / 2
    return {"load": f"{load:.2f}" + (" (busy: expect a high noise floor)" if busy else "")}
