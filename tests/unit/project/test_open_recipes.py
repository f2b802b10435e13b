"""What is wrong with a space is told when the file is read, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight_base.errors import ConfigError

HEAD = """\
name: tiny
model: {build: "tiny.model:build", weights: base.pt, inputs: {image: [N, 1, 8, 8]}}
data: {load: "tiny.data:load"}
variants: {half: {steps: [float16]}}
budget: {size: {max_ratio: 0.5}}
search:
  recipes:
    small:
"""


def read(steps: str, runtime: str = "onnxruntime") -> Project:
    return understand(f"{HEAD}      runtime: {runtime}\n      steps: {steps}\n", "makeweight.yaml", Path())


def test_a_space_is_read() -> None:
    project = read("[[{prune: {ratio: {from: 0.2, to: 0.5}}}, null], {quantize: {exclude: [head]}}]", "[onnxruntime]")
    assert project.spaces["small"].runtimes == ("onnxruntime",)
    assert [len(step.alternatives) for step in project.spaces["small"].steps] == [2, 1]
    assert understand(HEAD[: HEAD.index("search:")], "makeweight.yaml", Path()).spaces == {}


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("[prun]", "unknown technique `prun`; did you mean `prune`?"),
        ("[{prune: {ratoi: [0.5]}}]", "steps[0].prune.ratoi: unknown key; did you mean `ratio`?"),
        ("[{prune: {ratio: []}}]", "steps[0].prune.ratio: an empty list leaves nothing to choose from"),
        ("[[null, {prune: {ratio: {from: 1, to: 0}}}]]", "steps[0][1].prune.ratio: a range goes from the lower"),
        ("[{prune: {ratio: {from: .nan, to: 0.5}}}]", "both ends of a range are numbers"),
        ("[{prune: {ratio: [0.5, 1.5]}}]", "`1.5`"),
        ("[{quantize: {method: [static, dynamc]}}]", "`dynamc`"),
        ("[{quantize: {bits: [3, 5]}}]", "3 bits are not offered"),
        ("[[]]", "an empty list leaves nothing to choose from"),
        ("[3]", "a step is one technique"),
        # whatever is chosen, it only trains
        ("[{finetune: {epochs: [1, 2]}}]", "training alone compresses nothing"),
        ("[]", "a variant needs at least one step"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(steps: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        read(steps)
    assert words in str(told.value)
    assert all(problem.line in (8, 10) for problem in told.value.problems)


def test_an_unknown_runtime_is_told() -> None:
    with pytest.raises(ConfigError, match=r"makeweight\.yaml:9: .*unknown runtime `tvm`"):
        read("[quantize]", "[onnxruntime, tvm]")
