"""Dashboards before Grafana's own types: TypeScript, strict, against the oldest and the newest release meant."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import node
from dashboards_project import BUDGETS, loaded, panels

TYPESCRIPT = "5.9.3"
RELEASES = {"11.6.0": "dist/esm/raw", "13.2.3": "dist/types/raw"}
"""Of @grafana/schema, and where its types of panels lie."""
KINDS = {
    "stat": "stat/panelcfg/x/{}StatPanelCfg_types.gen",
    "timeseries": "timeseries/panelcfg/x/{}TimeSeriesPanelCfg_types.gen",
    "table": "table/panelcfg/x/{}TablePanelCfg_types.gen",
    "barchart": "barchart/panelcfg/x/{}BarChartPanelCfg_types.gen",
    "state-timeline": "statetimeline/panelcfg/x/{}StateTimelinePanelCfg_types.gen",
}
# A text in a file is no member of an enumeration to TypeScript, though it may be its value; and what the data source
# of Prometheus keeps with an annotation is not in the schema.
OWN_TYPES = """
type Plain<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Asked = { expr: string; interval: string };
type Mark = AnnotationQuery & { expr: string; step: string; titleFormat: string; textFormat: string; target: Asked };
type Board = Omit<Plain<Dashboard>, 'annotations'> & { annotations: { list: Plain<Mark>[] } };
"""


def script(boards: list[dict[str, Any]], release: str) -> str:
    """What several boards have in common is looked at once."""
    return "\n".join(dict.fromkeys(_lines(boards, release))) + "\n"


def _lines(boards: list[dict[str, Any]], release: str) -> Iterator[str]:
    yield "import type { AnnotationQuery, Dashboard } from '@grafana/schema';"
    for kind, path in KINDS.items():
        raw = f"./node_modules/@grafana/schema/{RELEASES[release]}/composable"
        file = path.format("") if release.startswith("11.") else f"{path.split('{')[0]}types.gen"
        yield f"import type * as {_name(kind)} from '{raw}/{file}';"
    yield OWN_TYPES
    for one in boards:
        yield f"({json.dumps(one, indent=1)}) satisfies Board;"
        for panel in panels(one):
            kind = _name(panel["type"])
            yield f"({json.dumps(panel['options'])}) satisfies Plain<{kind}.Options>;"
            custom = panel["fieldConfig"]["defaults"].get("custom")
            if custom is not None:
                yield f"({json.dumps(custom)}) satisfies Plain<{kind}.FieldConfig>;"


def _name(kind: str) -> str:
    return kind.replace("-", "")


def complaints(texts: dict[str, str], release: str, tmp_path: Path) -> dict[str, list[str]]:
    """What the compiler says of each of these files, by name."""
    folder = node.install(f"grafana-schema-{release}", {"@grafana/schema": release, "typescript": TYPESCRIPT})
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    for name, text in texts.items():
        (tmp_path / f"{name}.ts").write_text(text)
    options = ("--strict", "--noEmit", "--skipLibCheck", "--target", "es2022")
    modules = ("--module", "esnext", "--moduleResolution", "bundler", "--preserveSymlinks")
    compiler = folder / "node_modules" / "typescript" / "bin" / "tsc"
    files = [f"{name}.ts" for name in texts]
    done = subprocess.run(
        ["node", str(compiler), *options, *modules, *files], cwd=tmp_path, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert (done.returncode == 0) == (not lines), done.stderr
    return {name: [line for line in lines if line.startswith(f"{name}.ts(")] for name in texts}


def first(one: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(panel for panel in panels(one) if panel["type"] == kind)


def small() -> dict[str, Any]:
    """A dashboard with a panel of two kinds."""
    one = loaded(BUDGETS["digits"])["canary.json"]
    return {**one, "panels": [first(one, "stat"), first(one, "timeseries")]}


SPOILT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a_size": lambda one: first(one, "stat")["gridPos"].update(h="tall"),
    "a_key": lambda one: one.update(titel="a word that is misspelt"),
    "an_option": lambda one: first(one, "stat")["options"].update(colorMode="loud"),
    "a_custom_option": lambda one: first(one, "timeseries")["fieldConfig"]["defaults"]["custom"].update(
        showPoints="seldom"
    ),
    "a_variable": lambda one: one["templating"]["list"][1].update(refresh="often"),
    "a_mark": lambda one: one["annotations"]["list"][0].pop("iconColor"),
}


@pytest.mark.parametrize("release", RELEASES)
def test_every_dashboard_is_of_the_type_that_grafana_declares_and_what_is_not_is_seen(
    release: str, tmp_path: Path
) -> None:
    """By one run of the compiler: it spends its time on the types."""
    boards = [one for terms in BUDGETS.values() for one in loaded(terms).values()]
    texts = {"boards": script(boards, release), "small": script([small()], release)}
    for name, spoil in SPOILT.items():
        one = small()
        spoil(one)
        texts[name] = script([one], release)
    seen = complaints(texts, release, tmp_path)
    assert seen["boards"] == seen["small"] == []
    assert {name for name, lines in seen.items() if lines} == set(SPOILT)
