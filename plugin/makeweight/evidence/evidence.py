"""Evidence: all that was measured, read from disk, with whatever does not belong to what is at hand marked stale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import makeweight
from makeweight import measurement
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.files import sha256_of
from makeweight.devices import record
from makeweight.devices.record import Record
from makeweight.evidence import keys
from makeweight.layout import BASELINE
from makeweight.measure import outcomes, timings
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base.installed import installed


@dataclass(frozen=True)
class Evidence:
    """What a decision and a report are made from."""

    measurements: tuple[Measurement, ...]
    failed: Mapping[str, str]
    """Why a recipe could not be carried out, by variant."""
    manifests: Mapping[str, Manifest]
    """By variant, `baseline` among them."""
    devices: Mapping[str, Record]
    """What each device said of itself; absent where it was never asked."""
    outcomes: Mapping[str, Outcomes]
    timings: Mapping[tuple[str, str], Timings]
    """By variant and device."""
    provenance: Mapping[str, Any]


NOTHING = Evidence((), {}, {}, {}, {}, {}, {})
"""What is known where nothing is at hand."""


def collect(project: Project) -> Evidence:
    """Read what exists. What is missing is simply not there; the decision says so rule by rule.

    Raises:
        UsageError: a file is there and damaged.
    """
    layout = project.layout
    names = [BASELINE, *project.variants]
    folders = {name: layout.artifact(name) for name in names}
    manifests = {name: artifact.read(f) for name, f in folders.items() if (f / artifact.MANIFEST).exists()}
    hashes = {name: _hash(m) for name, m in manifests.items()}
    answered = {name: o for name in names if (o := _if_there(outcomes.read, layout.outcomes(name))) is not None}
    devices = {name: d for name in project.devices if (d := _if_there(record.read, layout.device(name))) is not None}
    fed = _sha256(layout.inputs)
    found: list[Measurement] = []
    timed: dict[tuple[str, str], Timings] = {}
    fresh: dict[str, Outcomes] = {}
    for name in names:
        figures = _if_there(_figures, layout.evaluation(name)) or []
        objection = _evaluation_objection(project, name, figures, manifests, hashes, answered)
        found += _marked(figures, objection)
        # what was answered, example by example, is shown only where its figures count
        if figures and objection is None and name in answered:
            fresh[name] = answered[name]
    for name in project.variants:
        for device in project.devices:
            figures = _if_there(_figures, layout.benchmark(name, device)) or []
            objection = _benchmark_objection(project, name, device, figures, manifests, hashes, devices, fed)
            found += _marked(figures, objection)
            taken = _if_there(timings.read, layout.timings(name, device))
            if figures and objection is None and taken is not None:
                timed[name, device] = taken
    failed = {name: str(m.reason) for name, m in manifests.items() if m.status == "failed"}
    return Evidence(
        tuple(found),
        failed,
        manifests,
        devices,
        fresh,
        timed,
        _provenance(project, manifests, hashes, failed, fresh, devices, timed, fed),
    )


def _if_there(read: Any, path: Path) -> Any:
    return read(path) if path.exists() else None


def _figures(path: Path) -> list[Measurement]:
    return measurement.loads(path.read_text(encoding="utf-8"), str(path))


def _hash(manifest: Manifest) -> str | None:
    """The sha256 of the model at hand; None when there is none or it is not the one its manifest describes."""
    return manifest.sha256 if manifest.model is not None and manifest.model.is_whole() else None


def _marked(figures: list[Measurement], objection: str | None) -> list[Measurement]:
    return figures if objection is None else [figure.stale(objection) for figure in figures]


def _evaluation_objection(
    project: Project,
    name: str,
    figures: list[Measurement],
    manifests: Mapping[str, Manifest],
    hashes: Mapping[str, str | None],
    answered: Mapping[str, Outcomes],
) -> str | None:
    """Why the quality figures of a model cannot be used; None when they belong to what is at hand."""
    if _only_absent(figures):
        return None
    objection = _objection(name, manifests, hashes)
    if objection is None and BASELINE not in answered:
        objection = "the baseline was not evaluated"
    if objection is None:
        facts = answered[name].facts if name in answered else {}
        expected = keys.evaluation(
            baseline=str(hashes[BASELINE]),
            variant=str(hashes[name]),
            runtime=manifests[name].runtime,
            version=installed(manifests[name].runtime) or str(facts.get("version")),
            task=project.task,
            output=project.model.output,
            inputs=answered[BASELINE].digest,
        )
        objection = _key_objection(figures, expected, "the model, the test examples, the task or the runtime's version")
    return objection


def _benchmark_objection(
    project: Project,
    name: str,
    device: str,
    figures: list[Measurement],
    manifests: Mapping[str, Manifest],
    hashes: Mapping[str, str | None],
    devices: Mapping[str, Record],
    fed: str | None,
) -> str | None:
    """Why the figures of a benchmark cannot be used; None when they belong to what is at hand."""
    if _only_absent(figures):
        return None
    objection = _objection(name, manifests, hashes)
    told = devices.get(device)
    if objection is None and (told is None or told.status != "ok"):
        objection = f"device `{device}` is not known to be the one it was measured on"
    if objection is None and fed is None:
        objection = "the samples it was fed with are not at hand"
    if objection is None and told is not None:
        expected = keys.benchmark(
            baseline=str(hashes[BASELINE]),
            variant=str(hashes[name]),
            identity=told.identity,
            threads=project.devices[device].options.threads,
            inputs=str(fed),
        )
        objection = _key_objection(figures, expected, "the model, the device, its runtime, its threads or the samples")
    return objection


def _only_absent(figures: list[Measurement]) -> bool:
    """Nothing was measured, so nothing can be stale; each figure tells its own reason."""
    return all(figure.status == "unavailable" for figure in figures)


def _objection(name: str, manifests: Mapping[str, Manifest], hashes: Mapping[str, str | None]) -> str | None:
    """Why nothing that was measured of a variant can be used."""
    for wanted in {BASELINE: None, name: None}:
        if wanted not in manifests:
            return f"there is no manifest of `{wanted}`"
        if hashes[wanted] is None:
            return f"the model file of `{wanted}` is missing, or not the one that its manifest describes"
    parent = manifests[name].parent
    if name != BASELINE and parent != hashes[BASELINE]:
        return "it was made from another baseline"
    return None


def _key_objection(figures: list[Measurement], expected: str, what: str) -> str | None:
    if all(figure.key == expected for figure in figures):
        return None
    return f"{what} changed since it was measured"


def _provenance(
    project: Project,
    manifests: Mapping[str, Manifest],
    hashes: Mapping[str, str | None],
    failed: Mapping[str, str],
    answered: Mapping[str, Outcomes],
    devices: Mapping[str, Record],
    timed: Mapping[tuple[str, str], Timings],
    fed: str | None,
) -> dict[str, Any]:
    """The hashes of all that went in. No clock and no commit: the same inputs give the same verdict.json.

    A file is named by its path from the project's folder; None stands for one that was not at hand.
    """
    layout = project.layout
    raw = [layout.outcomes(name) for name in answered] + [layout.timings(*place) for place in timed]
    controls = [m.control.folder / file.name for m in manifests.values() if m.control for file in m.control.files]
    return {
        "makeweight": makeweight.__version__,
        "config": _sha256(layout.config),
        "model": {path: _sha256(project.root / path) for path in project.model.files},
        "data": {path: _sha256(project.root / path) for path in (project.data.npz or {}).values()},
        "artifacts": dict(hashes),
        "manifests": {name: _sha256(layout.artifact(name) / artifact.MANIFEST) for name in manifests},
        "controls": {path.relative_to(layout.root).as_posix(): _sha256(path) for path in controls},
        "failed": dict(failed),
        "test_examples": answered[BASELINE].digest if BASELINE in answered else None,
        "benchmark_inputs": fed,
        "raw_samples": {path.relative_to(layout.root).as_posix(): sha256_of(path) for path in raw},
        "devices": {name: _device(told) for name, told in devices.items()},
        "versions": {name: dict(m.versions) for name, m in manifests.items()},
        "seed": project.seed,
    }


def _sha256(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def _device(told: Record) -> dict[str, Any]:
    known = told.model_dump(exclude_none=True)
    return known if told.status != "ok" else {**known, "fingerprint": keys.fingerprint(told.identity)}
