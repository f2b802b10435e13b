"""What dvc.yaml lacks, in sentences."""

from __future__ import annotations

import yaml

from makeweight.pipeline.in_step import in_step
from unit.pipeline.conftest import THE_PIPELINE, THEIRS, module


def test_in_step_says_what_is_out_of_step() -> None:
    assert in_step(THE_PIPELINE, module("digits/", "requirements.lock")) == []
    assert in_step(THE_PIPELINE, module("digits", "uv.lock", weights="models/base.pt"))[:2] == [
        "stage `baseline`: deps lack `uv.lock`",
        "stage `baseline`: deps hold `requirements.lock`, which makeweight.yaml does not name",
    ]
    moved = in_step(THE_PIPELINE, module("digits", "requirements.lock", weights="new.pt"))
    assert [line.partition(":")[0] for line in moved] == ["stage `baseline`"] * 2 + ["stage `compress`"] * 2
    less = THE_PIPELINE.replace("            - variants.${key}\n", "").replace(",devices\n", "\n")
    assert in_step(less, module("digits", "requirements.lock")) == [
        "makeweight.yaml:devices is not among its `vars`",
        "stage `compress`: params lack `makeweight.yaml:variants.${key}`",
    ]


def test_in_step_lets_order_and_the_options_of_outputs_be() -> None:
    other = THE_PIPELINE.replace(
        "      - artifacts/baseline\n      - samples",
        "      - artifacts/baseline:\n          push: false\n      - samples",
    )
    other = other.replace("    - digits\n      - requirements.lock", "    - requirements.lock\n      - digits")
    assert other != THE_PIPELINE
    assert in_step(other, module("digits", "requirements.lock")) == []


def test_in_step_sees_a_stage_that_is_gone_or_broken() -> None:
    """`ship` may be: a pipeline of before there was one goes on without."""
    project = module("digits", "requirements.lock")
    data = yaml.safe_load(THE_PIPELINE)
    del data["stages"]["gate"], data["stages"]["ship"], data["stages"]["device"]["do"]["always_changed"]
    assert in_step(yaml.safe_dump(data), project) == [
        "stage `device`: `always_changed` is not what this version of makeweight needs",
        "stage `gate` is missing",
    ]


def test_a_pipeline_without_our_stages_is_left_alone() -> None:
    assert in_step(THEIRS, module()) == []
    assert in_step("", module()) == []
