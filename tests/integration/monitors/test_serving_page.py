"""docs/monitors/serving.md: its Python runs, its pointer is one, its list is complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from makeweight_monitors import metrics
from makeweight_monitors.serving import pointer as pointers
from makeweight_monitors.serving.pointer import Pointer
from unit.monitors.test_serving import model

PAGE = Path(__file__).resolve().parents[3] / "docs/monitors/serving.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "serving"
    pointers.write(home / "current.json", Pointer(model(home, "baseline", b"old", "r1")))
    names: dict[str, object] = {}
    exec("\n".join(blocks("python")), names)  # noqa: S102 - our own page
    assert names["scores"] == [0.2, 0.8]


def test_the_pointer_of_the_page_is_one() -> None:
    (text,) = blocks("json")
    full = text.replace("models/", "").replace('"aa…"', f'"{"a" * 64}"').replace('"bb…"', f'"{"b" * 64}"')
    assert pointers.understand(full.encode(), "the page").epoch == json.loads(full)["epoch"]


def test_the_page_names_every_reason_and_every_series() -> None:
    text = PAGE.read_text()
    assert tuple(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)[1:]) == metrics.SERVING_REFUSALS
    assert all(metric.series in text for metric in metrics.SERVING_CATALOGUE)
