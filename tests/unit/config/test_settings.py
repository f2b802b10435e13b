"""The sections of makeweight.yaml as values."""

from __future__ import annotations

import pytest

from makeweight import registry
from makeweight.config.settings import ModelSettings


@pytest.mark.parametrize(("suffix", "runtime"), registry.suffixes().items())
def test_a_model_file_stands_under_what_it_ends_in_and_says_what_runs_it(suffix: str, runtime: str) -> None:
    model = ModelSettings.model_validate({suffix.removeprefix("."): "net.bin"})
    assert (model.file, model.files, model.runtime) == ("net.bin", ("net.bin",), runtime)


def test_what_is_declared_goes_before_what_the_file_says() -> None:
    assert ModelSettings.model_validate({"onnx": "net.onnx", "runtime": "theirs"}).runtime == "theirs"


def test_a_module_has_weights_and_no_file() -> None:
    model = ModelSettings(build="net:build", weights="net.pt", inputs={"x": ["N", 4]})
    assert (model.file, model.files) == (None, ("net.pt",))


def test_a_program_is_a_module_of_one_file() -> None:
    model = ModelSettings(pt2="net.pt2", inputs={"x": ["N", 4]})
    assert (model.file, model.of_module, model.files) == (None, "net.pt2", ("net.pt2",))
