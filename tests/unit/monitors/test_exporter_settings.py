"""What an exporter is told of its models: few words for the common case, and a place for what is wrong."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

import rules_project
from makeweight_base.errors import UsageError
from makeweight_monitors.exporter.arguments import add_arguments, size
from makeweight_monitors.exporter.described import described
from makeweight_monitors.exporter.models import Model
from makeweight_monitors.exporter.settings import KEYS, ModelSettings


def read(*arguments: str) -> list[ModelSettings]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return described(parser.parse_args(arguments))


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, variant in (("canary.json", "int8"), ("stable.json", "baseline")):
        (tmp_path / name).write_text(json.dumps(rules_project.content(variant)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_common_case_is_two_references(reports: Path) -> None:
    (one,) = read("--reference", "canary=canary.json", "--reference", "stable=stable.json")
    assert (one.name, one.variants, one.revision) == ("digits", ("stable", "canary"), None)
    assert one.reference["canary"].variant == "int8"
    (alone,) = read("--reference", "canary.json")
    assert alone.variants == ("canary",)


def test_a_file_says_what_flags_say(reports: Path) -> None:
    (reports / "models.yaml").write_text(
        """
        models:
          shop:
            revision: r2
            reference: {canary: canary.json, stable: stable.json}
            slices: [day, night]
            features: {light: [0.2, 0.4]}
            weight: 0.05
            labels: labels.sqlite
            label_timeout: 6h
            most_waiting: 10
            service: shop-prod
          prices: {task: regression, tolerance: 0.5, error_edges: [0.1, 1]}
        """
    )
    shop, prices = read("--models", "models.yaml")
    arguments = (
        "--model shop --revision r2 --reference canary=canary.json --reference stable=stable.json "
        "--slices day,night --feature light=0.2,0.4 --weight 0.05 --labels labels.sqlite "
        "--label-timeout 6h --most-waiting 10 --service shop-prod"
    )
    (flags,) = read(*arguments.split())
    assert shop == flags
    assert (prices.task, prices.tolerance, prices.error_edges) == ("regression", 0.5, (0.1, 1.0))
    (flags,) = read("--model", "prices", "--task", "regression", "--tolerance", "0.5", "--error-edges", "0.1,1")
    assert prices == flags


def test_paths_of_a_file_start_where_it_stands(reports: Path) -> None:
    folder = reports / "conf"
    folder.mkdir()
    (folder / "models.yaml").write_text("models: {digits: {reference: ../canary.json, labels: a.sqlite}}")
    (one,) = read("--models", "conf/models.yaml")
    assert one.labels == Path("conf/a.sqlite")
    assert one.reference["canary"].model == "digits"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("models:\n  digits:\n    refrence: canary.json\n", 3, "Did you mean `reference`?"),
        ("modles: {}\n", 1, "Did you mean `models`?"),
        ("models:\n  digits:\n    zebra: 1\n", 3, "Known here: revision,"),
        ("models:\n  digits:\n    reference:\n      canray: canary.json\n", 4, "Did you mean `canary`?"),
        ("models:\n  digits:\n    weight: 5\n", 3, "between 0 and 1"),
        ("models:\n  digits:\n    weight: yes\n", 3, "should be a number"),
        ("models:\n  digits:\n    revision: 7\n", 3, "quote it"),
        ("models:\n  digits:\n    slices: day\n", 3, "list of texts"),
        ("models:\n  digits:\n    slices: [day, day]\n", 3, "twice"),
        ("models:\n  digits:\n    features:\n      light: [3, 1]\n", 4, "numbers that rise"),
        ("models:\n  digits:\n    features: light\n", 3, "edges of the bins"),
        ("models:\n  digits:\n    label_timeout: soon\n", 3, "no duration"),
        ("models:\n  digits:\n    most_waiting: 0\n", 3, "above 0"),
        ("models:\n  digits:\n    scores: linear\n", 3, "softmax, probability, sigmoid"),
        ("models:\n  digits:\n    task: clustering\n", 3, "classification, regression"),
        ("models:\n  digits:\n    tolerance: .nan\n", 3, "should be a number"),
        ("models:\n  digits:\n    labels: [a]\n", 3, "should be a text"),
        ("models:\n  digits:\n    revision: r1\n    revision: r2\n", 4, "given twice; the first is on line 3"),
        ("models:\n  a: {labels: x}\n  b:\n    labels: ./x\n", 4, "have the same file"),
        ("models:\n  7: {}\n", 2, "quote it"),
        ("models:\n  digits: 3\n", 2, "key: value"),
        ("models: []\n", 1, "models by name"),
        ("- a\n", 1, "`models:` is missing"),
        ("", 1, "`models:` is missing"),
        ("models: {\n", 1, "this is not YAML"),
        ("models: *nobody\n", 1, "this is not YAML"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(reports: Path, text: str, line: int, said: str) -> None:
    (reports / "models.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read("--models", "models.yaml")
    assert str(caught.value).startswith(f"models.yaml:{line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "which model is it?"),
        ("--model digits --weight 2", "--weight: "),
        ("--model digits --classes a,a", "--classes: `classes` names something twice"),
        ("--reference nowhere.json", "nowhere.json: no such file"),
        ("--reference canray=canary.json", "Did you mean `canary`?"),
        ("--reference canary=canary.json --reference canary=stable.json", "--reference: the same is given twice"),
        ("--models models.yaml --model digits", "`--models` describes all models, and `--model` one"),
        ("--models models.yaml --feature a=1", "`--feature`"),
        ("--models nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("--model digits --feature light=3,1", "--feature: "),
    ],
)
def test_wrong_flags_are_told(reports: Path, arguments: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(*arguments.split())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "argument",
    [
        "--port 99999",
        "--port x",
        "--most-body 0",
        "--most-body 10XB",
        "--most-requests 0",
        "--feature light",
        "--linger x",
    ],
)
def test_arguments_that_cannot_be(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read("--model", "digits", *argument.split())
    assert ended.value.code == 2
    assert argument.split()[0] in capsys.readouterr().err


def test_sizes() -> None:
    assert [size(text) for text in ("5", "5B", "10MB", "10 mb", "2k", "1GB")] == [5, 5, 10**7, 10**7, 2000, 10**9]


def test_every_key_of_the_file_has_a_flag() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    flags = {action.dest for action in parser._actions}
    assert set(KEYS) <= flags


def test_what_contradicts_itself_is_told_at_the_start(reports: Path) -> None:
    content: Any = rules_project.content("baseline")
    content["confidence"]["edges"][1] = 0.11
    (reports / "stable.json").write_text(json.dumps(content))
    (one,) = read("--reference", "canary=canary.json", "--reference", "stable=stable.json")
    with pytest.raises(UsageError, match="different bins"):
        Model(one, lambda *_: None)
