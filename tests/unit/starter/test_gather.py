"""What `makeweight init` says to type is something that it takes."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from makeweight.starter import arguments
from makeweight.starter.arguments import Given
from makeweight.starter.gather import gather
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent


def typed(call: str) -> Given:
    """The arguments behind `makeweight init`, as the command line reads them."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    arguments.add_arguments(parser)
    return arguments.given(parser.parse_args(shlex.split(call)))


@pytest.mark.parametrize("first", ["a.onnx", "a.tflite", "a.pte", "a.pt2", "a model of Zoë's.onnx"])
def test_of_several_models_one_can_be_named_as_it_says(tmp_path: Path, first: str) -> None:
    for name in (first, "b.onnx"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="2 models here") as caught:
        gather(tmp_path, Given(), None, Silent())
    said = typed(str(caught.value.do).partition("makeweight init ")[2])
    assert [path for path in (said.onnx, said.pt2) if path] == [first]


def test_weights_can_be_named_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "my best.pt").touch()
    with pytest.raises(UsageError, match="no model to start from") as caught:
        gather(tmp_path, Given(), None, Silent())
    call = next(line for line in str(caught.value.do).splitlines() if "--weights" in line)
    assert typed(call.partition("makeweight init ")[2]).weights == "my best.pt"
