"""The detector of examples/shapes on a small cut: trained a little, quantized, judged by mAP, told in a report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from makeweight import cli
from makeweight.measure import outcomes
from makeweight.measurement import loads

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shapes"
MODULES = ("pictures", "detector")
PICTURES = 96


@pytest.fixture(scope="module")
def project(probed_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder after `baseline`, `compress`, `evaluate` and `report` of its int8 variant."""
    folder = tmp_path_factory.mktemp("example") / "shapes"
    shutil.copytree(EXAMPLE, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        for name in MODULES:
            patch.delitem(sys.modules, name, raising=False)
        # in a process of its own, as a user trains: it is no source of the project
        training = [sys.executable, "train.py", "--epochs", "6", "--pictures", str(PICTURES)]
        subprocess.run(training, check=True, capture_output=True)
        import pictures

        for split in pictures.SIZES:
            patch.setitem(pictures.SIZES, split, PICTURES)
        for words in ("baseline", "compress int8", "evaluate int8", "report"):
            assert cli.main(words.split()) == 0, words
        for name in MODULES:
            sys.modules.pop(name, None)
    return folder


def test_the_variant_is_judged_by_boxes_that_were_found(project: Path) -> None:
    found = {each.measurand.name: each for each in loads((project / "reports/int8/evaluate.json").read_text(), "")}
    for name in ("map", "map_50", "map_drop", "map_50_drop"):
        assert found[name].status == "measured"
        assert found[name].interval is not None
    assert found["map_50"].value is not None
    assert found["map_50"].value > 0, "a network that finds nothing would prove nothing"
    own, base = (outcomes.read(project / f"samples/{name}/evaluate.npz") for name in ("int8", "baseline"))
    assert len(own) == len(base) == PICTURES
    np.testing.assert_array_equal(own.kept["object_label"], base.kept["object_label"])


def test_the_report_and_the_monitors_reference_speak_of_a_detection(project: Path) -> None:
    verdict = json.loads((project / "reports/verdict.json").read_text())
    assert {"map.min", "map.max_drop", "map_50.max_drop"} <= {rule["rule"] for rule in verdict["rules"]}
    assert "mAP" in (project / "reports/report.md").read_text()
    told = json.loads((project / "reports/int8/reference.json").read_text())
    assert told["unavailable"].startswith("an answer is any number of boxes")
