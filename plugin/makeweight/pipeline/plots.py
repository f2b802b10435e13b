"""The plots of a project's pipeline, put among the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight.layout import PIPELINE, Layout
from makeweight.pipeline import yamledit

if TYPE_CHECKING:
    from makeweight.project.project import Project


def drawn(project: Project) -> list[dict[str, Any]]:
    """The top-level plots: of the metric that the report takes for this project's quality, and of how each variant was
    trained."""
    from makeweight.budget.metric import of_role
    from makeweight.compress.curves import SIDES, X
    from makeweight.report.dvcplots import definitions

    measured = [metric.name for metric in of_role("quality", project.task.kind)]
    limited = {rule.metric.name for rule in project.rules}
    trained = [name for name, variant in project.variants.items() if variant.plan.trainings]
    axes = {"x": X, "y": [*SIDES]}
    return [
        *definitions(next((name for name in measured if name in limited), measured[0])),
        *({Layout(Path()).curves(name).as_posix(): axes} for name in trained),
    ]


def put(text: str, there: Any, wanted: Sequence[Any]) -> tuple[str, list[str]]:
    """The text of dvc.yaml with the plots `wanted` in it, and what was done; `there` is what its `plots` holds."""
    entries = list(there.items()) if isinstance(there, dict) else [_plot(item) for item in there or []]
    names = [_plot(plot)[0] for plot in wanted]
    if wanted and not there and not isinstance(there, dict):  # all of them at once, read back once
        text = yamledit.put(text, ("plots",), [*wanted], source=PIPELINE, above=("",))
        return text, [f"added the plot{'s' * (len(names) > 1)} {', '.join(names)}"]
    # of a plot that is no longer drawn of our files (the quality metric changed) the place is used again
    stale = [i for i, entry in enumerate(entries) if entry[0] not in names and _is_ours(*entry)]
    added, updated = [], []
    for plot in wanted:
        name, options = _plot(plot)
        index = next((i for i, entry in enumerate(entries) if entry[0] == name), None)
        if index is not None and entries[index][1] == options:
            continue
        if index is None and stale and not isinstance(there, dict):
            index = stale.pop(0)
        if isinstance(there, dict):
            text = yamledit.put(text, ("plots", name), options, source=PIPELINE)
        else:
            place = len(entries) if index is None else index
            text = yamledit.put(text, ("plots", place), plot, source=PIPELINE)
        if index is None:
            entries.append((name, options))
            added.append(name)
        else:
            entries[index] = (name, options)
            updated.append(name)
    changes = [f"added the plot{'s' * (len(added) > 1)} {', '.join(added)}"] if added else []
    return text, changes + [f"brought plot {name} up to date" for name in updated]


def _is_ours(name: str, options: Any) -> bool:
    """Whether a plot draws what the report or a training writes."""
    if Path(name) == Layout(Path()).curves(Path(name).parent.name):
        return True
    axes = [options.get(axis) for axis in ("x", "y")] if isinstance(options, dict) else []
    paths = [name, *(path for axis in axes if isinstance(axis, dict) for path in axis)]
    return any(str(path).startswith(f"{Layout(Path()).plot('x').parent.as_posix()}/") for path in paths)


def _plot(item: Any) -> tuple[str, Any]:
    if isinstance(item, dict):
        ((name, options),) = item.items()
        return str(name), options
    return str(item), None
