"""The shipped folder among DVC's artifacts: under a name that GTO takes, and not where the user named it already."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from makeweight.pipeline import artifacts
from makeweight_base.errors import ConfigError
from unit.pipeline.conftest import merged, module

GTO = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-/_]*[a-zA-Z0-9])?")


@pytest.mark.parametrize(
    ("project", "name"),
    [("digits", "digits"), ("My Net, v2!", "my-net-v2"), ("_x_", "x"), ("数字", "model")],
    ids=["plain", "words", "edges", "no-letters"],
)
def test_a_projects_name_becomes_one_that_gto_takes(project: str, name: str) -> None:
    assert artifacts.named(project) == name
    assert GTO.fullmatch(name)


def listed(there: dict[str, Any]) -> dict[str, Any]:
    text, _ = merged(yaml.safe_dump({"artifacts": there}), module("digits"))
    return yaml.safe_load(text)["artifacts"]


def test_an_entry_for_the_folder_is_the_users_to_word() -> None:
    theirs = {"net": {"path": "./shipped", "labels": ["edge"]}}
    assert listed(theirs) == theirs


def test_a_name_that_is_taken_stays_taken() -> None:
    theirs = {"digits": {"path": "models/base.pt", "type": "model"}}
    both = listed(theirs)
    assert both["digits"] == theirs["digits"]
    assert both["digits-shipped"]["path"] == "shipped"


def test_artifacts_of_another_shape_are_told() -> None:
    with pytest.raises(ConfigError, match="artifacts"):
        merged("artifacts: [digits]\n", module("digits"))
