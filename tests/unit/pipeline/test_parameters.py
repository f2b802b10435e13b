"""What DVC has to find in makeweight.yaml."""

from __future__ import annotations

import pytest
import yaml

from makeweight.pipeline.parameters import add_missing
from makeweight_base.yamlfile import parse


def test_missing_keys_are_added_with_what_was_assumed() -> None:
    assumed = {
        "name": "m",
        "sources": [],
        "task": "classification",
        "seed": 0,
        "devices": {"local": {"kind": "local"}},
    }
    text = "# mine\nmodel: {onnx: m.onnx}   # net\nseed: 3\ndata: {load: 'a:b'}\nvariants: {a: {steps: [float16]}}\n"
    new, added = add_missing(text, "m")
    assert added == ["name", "sources", "task", "devices"]
    assert new.startswith(text)
    assert yaml.safe_load(new) == {**yaml.safe_load(text), **{key: assumed[key] for key in added}}
    assert add_missing(new, "m") == (new, [])


@pytest.mark.parametrize("name", ["08", "1e3", "4712e39", "0o17", "2024", "yes"])
def test_a_folder_whose_name_looks_like_a_number_is_a_text_to_every_reader(name: str) -> None:
    new, _ = add_missing("model: {onnx: m.onnx}\n", name)
    document = parse(new, "makeweight.yaml")
    assert (document.data["name"], document.ambiguous) == (name, ())
