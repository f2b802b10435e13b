"""The sections of makeweight.yaml as values."""

from __future__ import annotations

import pytest

from makeweight import registry
from makeweight.config.settings import DataSettings, ModelSettings


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


def test_how_many_examples_there_are_is_said_of_what_a_callable_loads() -> None:
    data = DataSettings.model_validate({"load": "net:load", "examples": {"validation": 5000}})
    assert dict(data.examples) == {"validation": 5000}
    for declared, said in (
        ({"npz": {"test": "t.npz"}, "examples": {"test": 5}}, "`examples` goes with `load`"),
        ({"load": "net:load", "examples": {"test": 0}}, "greater than or equal to 1"),
        ({"load": "net:load", "examples": {"calibration": 5}}, "'train', 'validation' or 'test'"),
    ):
        with pytest.raises(ValueError, match=said):
            DataSettings.model_validate(declared)
