"""What a change may do to the stages: nothing that makeweight would not write itself."""

from typing import Any

import pytest
import yaml

from makeweight.ci import admission
from makeweight.pipeline.stages import stages
from makeweight_base.errors import ConfigError
from unit.ci.conftest import Made


def written(made: Made, *edits: tuple[str, str, Any]) -> str:
    pipeline: dict[str, Any] = {"vars": ["makeweight.yaml:variants,devices"], "stages": stages(made())}
    pipeline = yaml.safe_load(yaml.safe_dump(pipeline))
    for stage, key, value in edits:
        body = pipeline["stages"][stage]
        (body.get("do") or body)[key] = value
    return yaml.safe_dump(pipeline, sort_keys=False)


def test_what_makeweight_writes_passes_with_words_of_the_users(made: Made) -> None:
    admission.check(written(made), None, made())
    admission.check(
        written(made, ("compress", "desc", "make it small"), ("report", "meta", {"owner": "me"})), None, made()
    )


@pytest.mark.parametrize(
    ("stage", "key", "value"),
    [
        ("evaluate", "cmd", "makeweight evaluate ${key} || true"),
        ("compress", "frozen", True),
        ("benchmark", "wdir", "elsewhere"),
        ("baseline", "deps", []),
        ("report", "outs", []),
        ("device", "always_changed", False),
    ],
)
def test_any_other_change_is_refused_on_its_line(made: Made, stage: str, key: str, value: Any) -> None:
    text = written(made, (stage, key, value))
    with pytest.raises(ConfigError) as told:
        admission.check(text, None, made())
    (first, *_) = told.value.problems
    assert f"stage `{stage}`: `{key}`" in first.what
    assert first.line is not None
    assert key in "\n".join(text.splitlines()[first.line - 1 : first.line + 1]) or key == "always_changed"


def test_what_the_base_has_already_was_agreed_to(made: Made) -> None:
    own = written(made, ("compress", "cmd", "poetry run makeweight compress ${key}"))
    admission.check(own, own, made())
    with pytest.raises(ConfigError):
        admission.check(own, written(made), made())


def test_a_missing_stage_and_a_missing_pipeline_are_told(made: Made) -> None:
    pipeline = yaml.safe_load(written(made))
    del pipeline["stages"]["gate"]
    with pytest.raises(ConfigError, match="stage `gate` is missing"):
        admission.check(yaml.safe_dump(pipeline), None, made())
    with pytest.raises(ConfigError, match="makeweight init"):
        admission.check(None, None, made())
    with pytest.raises(ConfigError):
        admission.check("stages: [a]", None, made())


def test_a_pipeline_of_before_there_was_a_stage_to_ship_goes_on_without_and_none_is_taken_away(made: Made) -> None:
    pipeline = yaml.safe_load(written(made))
    del pipeline["stages"]["ship"]
    before = yaml.safe_dump(pipeline)
    admission.check(before, None, made())
    admission.check(before, before, made())
    admission.check(written(made), before, made())
    with pytest.raises(ConfigError, match="stage `ship` is missing"):
        admission.check(before, written(made), made())
