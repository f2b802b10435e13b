"""`makeweight devices`: each device of the project, asked what it is."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from makeweight.bench import probe
from makeweight.devices.device import DeviceFailed
from makeweight.devices.record import described
from makeweight.project import reading
from makeweight.project.project import Project
from makeweight_base.errors import Exit


def run(root: Path, *, as_json: bool) -> Exit:
    """Exit 4 where one cannot be reached."""
    project = reading.load(root)
    with ThreadPoolExecutor() as beside:
        told = dict(zip(project.devices, beside.map(lambda name: _asked(project, name), project.devices), strict=True))
    if as_json:
        print(json.dumps(told))
    else:
        _show(told)
    return Exit.PASS if all("reason" not in each for each in told.values()) else Exit.ENVIRONMENT


def _asked(project: Project, name: str) -> dict[str, Any]:
    """Its kind, and what it says of itself or why it does not."""
    entry = project.device(name)
    try:
        facts = probe.facts(entry.connect(), lambda _: None)
    except DeviceFailed as error:
        return {"kind": entry.kind, "reason": error.what, "do": error.do}
    return {"kind": entry.kind, "identity": facts.identity, "conditions": facts.conditions}


def _show(told: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("device", "kind", "what it is", "runtimes", box=None, pad_edge=False, padding=(0, 2))
    for name, each in told.items():
        if "reason" in each:
            table.add_row(name, each["kind"], f"unreachable: {each['reason']}. {each['do'] or ''}".strip(), "")
            continue
        identity, load = each["identity"], each["conditions"]["load"]
        what = described(identity)
        what += f", load {load:.2f}" if load is not None else ""
        runtimes = ", ".join(f"{runtime} {version}" for runtime, version in identity["runtimes"].items())
        by = identity.get("by")
        runtimes = f"those of `{by}`" if by else runtimes or "none: nothing can be measured there"
        table.add_row(name, each["kind"], what, runtimes)
    Console(file=sys.stdout, highlight=False).print(table, markup=False)
