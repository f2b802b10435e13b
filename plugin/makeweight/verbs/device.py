"""`makeweight device D`: write down which device this is, so that no figure of another is taken for its own."""

from __future__ import annotations

from makeweight.bench import probe
from makeweight.devices.record import Record, described, write
from makeweight.project.project import Project
from makeweight_base.errors import EnvironmentFailed, Exit
from makeweight_base.progress import Progress


def run(project: Project, name: str, progress: Progress) -> Exit:
    entry = project.device(name)
    device = entry.connect()
    try:
        facts = probe.facts(device, progress.say, entry.options.execution_provider)
        record = Record(status="ok", identity=facts.identity)
        progress.say(f"{name}: {described(facts.identity)}")
    except EnvironmentFailed as error:
        # Absence is data: a failing stage would stop the devices that are there.
        record = Record(status="unreachable", reason=error.what)
        progress.say(f"{name}: unreachable, {error.what}")
    write(project.layout.device(name), record)
    return Exit.PASS
