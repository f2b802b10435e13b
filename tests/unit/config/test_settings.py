"""The sections of makeweight.yaml as values."""

from __future__ import annotations

import pytest

from makeweight.config.settings import FILES, ModelSettings


@pytest.mark.parametrize("key", FILES)
def test_a_model_file_is_the_file_by_whatever_key(key: str) -> None:
    model = ModelSettings.model_validate({key: "net.bin"})
    assert (model.file, model.files) == ("net.bin", ("net.bin",))


def test_a_module_has_weights_and_no_file() -> None:
    model = ModelSettings(build="net:build", weights="net.pt", inputs={"x": ["N", 4]})
    assert (model.file, model.files) == (None, ("net.pt",))


def test_a_program_is_a_module_of_one_file() -> None:
    model = ModelSettings(pt2="net.pt2", inputs={"x": ["N", 4]})
    assert (model.file, model.of_module, model.files) == (None, "net.pt2", ("net.pt2",))
