"""A first makeweight.yaml: it loads, says what was given, and asks for nothing that the model cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from makeweight.budget.metric import TaskKind
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.starter.draft import Draft, arrays, write
from makeweight.user.targets import of_batch

MODULE = Draft(
    name="digits",
    inputs={"image": ["N", 1, 8, 8]},
    build="digits.model:build",
    weights="models/base.pt",
    load="digits.data:load",
    sources=("digits/", "requirements.lock"),
)
FILE = Draft(name="net", inputs={"x": [1, 4]}, file="net.onnx", npz={"test": "t.npz", "calibration": "c.npz"})


def loaded(draft: Draft) -> Project:
    return understand(write(draft), "makeweight.yaml", Path())


def test_a_module_gets_every_technique() -> None:
    project = loaded(MODULE)
    assert list(project.variants) == ["fp16", "int8", "int8-dynamic", "slim", "slim-int8"]
    assert (project.model.build, project.model.weights) == ("digits.model:build", "models/base.pt")
    assert project.model.inputs == {"image": ["N", 1, 8, 8]}
    assert project.sources == ("digits/", "requirements.lock")
    assert project.data.load == "digits.data:load"
    assert (project.ship, project.prefer, list(project.devices)) == ("best", "latency", ["local"])


@pytest.mark.parametrize("name", ["08", "1e3", "4712e39", "0o17", "2024", "yes"])
def test_a_folder_whose_name_looks_like_a_number_is_its_name(name: str) -> None:
    assert loaded(replace(FILE, name=name)).name == name


def test_a_file_gets_what_needs_no_module() -> None:
    assert list(loaded(FILE).variants) == ["fp16", "int8", "int8-dynamic"]
    assert list(loaded(replace(FILE, npz={}, load="a:b")).variants) == ["fp16", "int8", "int8-dynamic"]


@pytest.mark.parametrize(("file", "key"), [("net.onnx", "onnx"), ("a/net.pte", "pte"), ("net.bin", "onnx")])
def test_a_file_stands_under_the_key_of_its_format(file: str, key: str) -> None:
    model = yaml.safe_load(write(replace(FILE, file=file, runtime="theirs")))["model"]
    assert (model[key], model["runtime"]) == (file, "theirs")


def test_without_calibration_nothing_is_calibrated() -> None:
    assert list(loaded(replace(FILE, npz={"test": "t.npz"})).variants) == ["fp16", "int8-dynamic"]


def test_without_training_data_nothing_is_pruned() -> None:
    draft = replace(MODULE, load=None, npz={"test": "t.npz", "calibration": "c.npz"})
    assert list(loaded(draft).variants) == ["fp16", "int8", "int8-dynamic"]


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("classification", ["accuracy", "worst_class_accuracy", "negative_flips"]),
        ("regression", ["rmse", "r2"]),
        ("multilabel", ["f1"]),
        ("segmentation", ["miou"]),
        ("detection", ["map"]),
        ("digits.score:f1", ["metric"]),
    ],
)
def test_the_budget_suits_the_task(task: str, metrics: list[str]) -> None:
    project = loaded(replace(MODULE, task=task))
    assert project.task.kind == (task if ":" not in task else "custom")
    assert {rule.metric.name for rule in project.rules} == {"size", *metrics, "latency_p50"}
    assert {rule.level for rule in project.rules} == {"error"}


def test_a_task_without_a_loss_of_its_own_is_not_trained_further() -> None:
    assert list(loaded(replace(MODULE, task="detection")).variants) == ["fp16", "int8", "int8-dynamic"]


def test_every_key_that_dvc_needs_is_written_out() -> None:
    from makeweight.config.settings import PARAMETERS

    for draft in (MODULE, FILE):
        assert set(PARAMETERS) <= set(yaml.safe_load(write(draft)))


def test_files_that_are_only_proposed_are_marked() -> None:
    text = write(replace(FILE, npz_is_guessed=True))
    assert "EDIT: nothing lies there yet" in text
    assert "EDIT" not in write(FILE)
    assert "    test: t.npz          # arrays `x` [examples, 4] and `target` [examples]\n" in text


def test_arrays_are_described_as_they_must_be() -> None:
    inputs = {"image": ["N", 1, 8, 8], "scale": ["N"]}
    told = "arrays `image` [examples, 1, 8, 8] and `scale` [examples] and `target` [examples]"
    assert arrays(inputs, "test", "classification") == told
    assert "target" not in arrays(inputs, "calibration", "classification")


@pytest.mark.parametrize(
    ("task", "target"),
    [
        ("classification", (2,)),
        ("multilabel", (2, 4)),
        ("regression", (2, 3)),
        ("segmentation", (2, 4, 4)),
        ("detection", (2, 3, 5)),
    ],
)
def test_targets_are_described_as_the_task_takes_them(task: TaskKind, target: tuple[int, ...]) -> None:
    described = arrays({"x": ["N", 3]}, "test", task).partition("`target` ")[2]
    assert len(described.split(",")) == len(target)
    assert len(of_batch(np.zeros(target), task, np.arange(2))) == 2


names = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() and text.strip())


@settings(max_examples=60, deadline=None)
@given(names, st.dictionaries(names, st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=2), names)
@example("a   # b", {"#": []}, "c\t# d")
def test_any_name_survives_the_quoting(name: str, inputs: dict[str, list[int]], path: str) -> None:
    draft = replace(FILE, name=name, inputs={key: ["N", *shape] for key, shape in inputs.items()}, sources=(path,))
    data = yaml.safe_load(write(draft))
    assert (data["name"], data["model"]["inputs"], data["sources"]) == (name, draft.inputs, [path])
