"""The stages of a project's pipeline, as data.

DVC itself reads variants and devices from makeweight.yaml (`vars`, `foreach`, `matrix`), so that adding one needs no
edit of dvc.yaml. What it cannot template, the lists of dependencies, is written out.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight.layout import BASELINE, CONFIG, Layout
from makeweight_base.errors import UsageError

if TYPE_CHECKING:
    from makeweight.project.project import Project

Stages = dict[str, dict[str, Any]]
SHIP = "ship"
"""The stage that a pipeline may lack: one that was set up before there was it goes on without."""


def stages(project: Project) -> Stages:
    """The stages by name, as dvc.yaml holds them.

    Raises:
        UsageError: a source lies where the pipeline writes, or the other way round.
    """
    at = Layout(Path())
    sources = [_source(path) for path in project.sources]
    weights = [_path(path) for path in (project.model.of_module,) if path]
    files = [_path(path) for path in project.model.files]
    data = {split: _path(path) for split, path in project.data.places.items()}
    unseen = [path for split, path in data.items() if split != "test"]
    test = [path for split, path in data.items() if split == "test"]
    around = project.pipeline
    raw = [] if around is None or around.place is None else [_path(around.place)]
    baseline, answers = str(at.artifact(BASELINE)), str(at.outcomes(BASELINE))
    key, device, variant = "${key}", "${item.device}", "${item.variant}"
    return {
        "baseline": {
            "cmd": "makeweight baseline",
            "deps": _unique(files, sources, data.values(), raw),
            "params": _params(
                "name", "model", "sources", "data", "task", "seed", *(["pipeline"] if around is not None else [])
            ),
            "outs": [baseline, answers, _uncached(at.reference(BASELINE))],
            "metrics": [_uncached(at.evaluation(BASELINE))],
        },
        "compress": {
            "foreach": "${variants}",
            "do": {
                "cmd": f"makeweight compress {key}",
                "deps": _unique([baseline], weights, sources, unseen),
                "params": _params("model", "data", "task", "seed", f"variants.{key}"),
                "outs": [str(at.artifact(key)), str(at.curves(key))],
            },
        },
        "evaluate": {
            "foreach": "${variants}",
            "do": {
                "cmd": f"makeweight evaluate {key}",
                "deps": _unique([baseline, answers, str(at.artifact(key))], sources, test),
                "params": _params("name", "model", "data", "task", "seed"),
                "outs": [str(at.outcomes(key)), str(at.flips(key)), _uncached(at.reference(key))],
                "metrics": [_uncached(at.evaluation(key))],
            },
        },
        "device": {
            "foreach": "${devices}",
            "do": {
                "cmd": f"makeweight device {key}",
                "params": _params(f"devices.{key}"),
                # Who measures is asked anew each time: DVC's run cache would hand out another machine's timings.
                "always_changed": True,
                "outs": [_uncached(at.device(key))],
            },
        },
        "benchmark": {
            "matrix": {"device": "${devices}", "variant": "${variants}"},
            "cmd": f"makeweight benchmark {variant} --device {device}",
            # the user's code runs on the device where a pipeline is declared, and nowhere else in this stage
            "deps": [
                baseline,
                str(at.artifact(variant)),
                str(at.device(device)),
                *(sources if around is not None else []),
            ],
            "params": _params(f"devices.{device}", *(["pipeline"] if around is not None else [])),
            "outs": [str(at.timings(variant, device))],
            "metrics": [_uncached(at.benchmark(variant, device))],
        },
        "report": {
            "cmd": "makeweight report",
            # Folders, not files: they hold what every stage above writes, however many variants there are. And the
            # file, not params: budget, waivers and policy may be absent, and DVC cannot store the dates in them.
            "deps": [
                str(at.artifact("x").parent),
                str(at.outcomes("x").parent.parent),
                str(at.device("x").parent),
                CONFIG,
            ],
            "outs": [_uncached(path) for path in (at.verdict, at.markdown, at.html, at.card, at.plot("x").parent)],
        },
        "gate": {"cmd": "makeweight gate", "deps": [str(at.verdict)]},
        SHIP: {
            "cmd": f"makeweight {SHIP}",
            # The verdict last: what it chose, and the other files that ship, belong to it.
            "deps": [str(at.artifact("x").parent), str(at.card), str(at.verdict)],
            # Kept, not removed before it runs: where nothing may ship, what shipped before stays.
            "outs": [{str(at.shipped): {"persist": True}}],
        },
    }


def _source(path: str) -> str:
    plain = _path(path)
    contains = set(plain.split("/")) <= {".", ".."}
    if contains or plain.split("/")[0] in ("artifacts", "samples", "reports", "shipped"):
        raise UsageError(
            f"sources: `{path}` {'holds' if contains else 'is'} what the pipeline itself writes, so every run would "
            "call for the next",
            where=CONFIG,
            do="Name the folders and files of your code, data and toolchain lock one by one.",
        )
    return plain


def _path(path: str) -> str:
    """As DVC compares them; `${` would read as a template."""
    return posixpath.normpath(path).replace("${", "\\${")


def _uncached(path: Path) -> dict[str, Any]:
    """In git, not in DVC's cache: readable in every checkout, with no remote."""
    return {str(path): {"cache": False}}


def _params(*keys: str) -> list[dict[str, list[str]]]:
    return [{CONFIG: list(keys)}]


def _unique(*groups: Any) -> list[str]:
    return list(dict.fromkeys(path for group in groups for path in group))
