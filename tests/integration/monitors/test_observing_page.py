"""docs/monitors/observing.md: its Python runs, its lists are complete; and what it says of imports holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from makeweight_monitors.metrics import FAILURES, LABEL_RESULTS, REJECTIONS

PAGE = Path(__file__).resolve().parents[3] / "docs/monitors/observing.md"


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "nothing of it is refused"
    assert "makeweight_labelled_total{" in done.stdout
    assert (tmp_path / "labels.sqlite").is_file()


def test_the_page_names_every_reason_and_every_result() -> None:
    named = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.*?) \|", PAGE.read_text(), re.MULTILINE))))
    assert {*REJECTIONS, *LABEL_RESULTS, "deferred", *FAILURES} == named


def test_observing_imports_nothing_heavy_and_nothing_of_the_plugin() -> None:
    script = (
        "import sys\n"
        "import makeweight_monitors.observe.observer, makeweight_monitors.observe.onnx_session\n"
        "import makeweight_monitors.observe.middleware.asgi, makeweight_monitors.observe.middleware.wsgi\n"
        "heavy = {'makeweight', 'torch', 'onnx', 'onnxruntime', 'dvc', 'pydantic', 'yaml', 'requests', 'rich'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
