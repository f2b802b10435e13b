"""From a model's outputs to what the task needs, and what is refused before anything is compared."""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.measure import patient
from makeweight.measure.answers import answer
from makeweight.measure.outcomes import WRONG, Outcomes
from makeweight.measure.patient import EACH, HANGS, ModelGivenUp, Patient
from makeweight.measure.tasks.table import TASKS
from makeweight.measure.tasks.task import Asked, Keeper
from makeweight.project.reading import understand
from makeweight.user.declared import Declared
from makeweight_base import given_up
from makeweight_base.errors import Exit, UsageError
from makeweight_base.progress import Silent
from model_values import invented_model
from split_values import split_of

CONFIG = """\
model: {{onnx: model.onnx}}
data: {{npz: {{test: test.npz}}}}
task: {task}
variants: {{half: {{steps: [float16]}}}}
budget: {{size: {{max: 1 MB}}}}
"""
MODEL = invented_model("sha", inputs=(Port("x", (None, 1), "float32"),), outputs=(Port("y", (None,), "float32"),))
_numbers = itertools.count()


def project(task: str = "classification", root: Path = Path("/nowhere")) -> Declared:
    return understand(CONFIG.format(task=task), "makeweight.yaml", root).declared


class Runtime:
    """A runtime whose models all give `output`."""

    name = "onnxruntime"

    def __init__(self, output: np.ndarray) -> None:
        self.output = output

    def version(self) -> str:
        return "1.0"

    def open(self, model: Model, threads: int = 1) -> Any:
        return self

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [self.output]


def answered(output: Any, targets: Any, task: str = "classification", **more: Any) -> Outcomes:
    found, wanted = np.array(output), np.array(targets)
    dataset = split_of("test", {"x": np.zeros((len(wanted), 1), np.float32)}, wanted)
    made = more.pop("project", None) or project(task)
    return answer(made, Runtime(found), MODEL, dataset, "half on test", Silent(), **more)  # type: ignore[arg-type]


def check(declared: Declared, found: Outcomes) -> None:
    TASKS[declared.task.kind].check(declared.task, found)


def test_a_classification_keeps_top_class_and_confidence() -> None:
    found = answered([[0.0, 4.0], [4.0, 0.0], [np.nan, 0.0]], [1, 1, 1])
    assert found.prediction.tolist() == [1, 0, WRONG]
    assert found.right.tolist() == [True, False, False]
    assert found.finite.tolist() == [True, True, False]
    assert (found.classes, found.scores) == (2, "softmax")
    assert found.facts == {"sha256": "sha", "runtime": "onnxruntime", "version": "1.0"}


@pytest.mark.parametrize(
    ("at_work", "told"),
    [
        ("open", "half on test: the model has not been opened for 0.01 s, and was given up"),
        ("run", "half on test, example 0 and 1 more: the model has not answered for 0.01 s, and was given up"),
    ],
)
def test_a_model_that_never_comes_to_an_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, at_work: str, told: str
) -> None:
    """With the examples that it does not answer, since a model that answered others may do so of some."""

    def opened(runtime: Runtime, *_: object) -> Runtime:
        monkeypatch.setattr(patient, "HANGS", 0.01)
        return runtime

    if at_work == "open":
        monkeypatch.setattr(patient, "HANGS", 0.01)
    else:  # on a busy machine opening it takes longer
        monkeypatch.setattr(Runtime, "open", opened)
    monkeypatch.setattr(patient, "EACH", 0.0)
    monkeypatch.setattr(given_up, "_at_work", set())  # or this process would end with the next command
    tests_end = threading.Event()
    monkeypatch.setattr(Runtime, at_work, lambda *_: tests_end.wait())
    with pytest.raises(ModelGivenUp) as failed:
        answered([[0.0, 4.0], [4.0, 0.0]], [1, 1])
    tests_end.set()
    assert (failed.value.head, failed.value.exit_code) == (told, Exit.ENVIRONMENT)


def test_a_model_has_as_long_for_examples_at_once_as_for_so_many_alone() -> None:
    """However slow it is and however many there are: a limit on all of them would end an honest evaluation."""
    given: list[float] = []

    def do(work: Callable[[], Any], seconds: float) -> Any:
        given.append(seconds)
        return work()

    thread: Any = SimpleNamespace(do=do)
    session = Patient(thread, lambda: Runtime(np.zeros(1)), "half on test")
    for count in (1, 4, 64):
        session.run({"x": np.zeros((count, 3)), "scale": np.float32(1)})  # type: ignore[dict-item]
    assert given == [HANGS, HANGS, HANGS, 64 * EACH]


def test_a_variant_is_read_like_its_baseline() -> None:
    base = answered([[0.9, 0.1], [0.2, 0.8]], [0, 1])
    assert base.scores == "probability"
    rounded = [[0.9, 0.09], [0.2, 0.79]]
    assert answered(rounded, [0, 1]).scores == "softmax"
    own = answered(rounded, [0, 1], like=base)
    assert (own.scores, own.confidence.tolist()) == ("probability", [0.9, 0.79])


@pytest.mark.parametrize(
    ("output", "targets"),
    [([[1.0], [2.0]], [1, 3]), ([1.0, 2.0], [[1], [3]]), ([[1.0, 2.0]] * 3, [[1, 2]] * 3), ([[[1.0, 2.0]]], [[1, 2]])],
)
def test_a_regression_keeps_its_numbers_whatever_their_shape(output: Any, targets: Any) -> None:
    found = answered(output, targets, "regression")
    assert found.prediction.shape == found.target.shape == (len(targets), np.size(targets) // len(targets))
    assert found.target.dtype == np.float64


def test_a_regression_with_other_targets_is_told() -> None:
    with pytest.raises(UsageError, match=r"gives 2 numbers an example, and the targets have shape \[3\]"):
        answered([[1.0, 2.0]], [[1, 2, 3]], "regression")


@pytest.fixture
def custom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Declared]:
    def make(code: str) -> Declared:
        name = f"metric_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(f"import numpy as np\ndef score(outputs, targets):\n    {code}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return project(f"'{name}:score'", tmp_path)

    return make


def keeper_of(declared: Declared) -> Keeper:
    return TASKS["custom"].keeper(Asked(declared.task, None, declared.root))


@pytest.mark.parametrize(
    ("code", "scores"),
    [
        ("return 0.5", [0.5]),
        ("return np.float32(0.5)", [0.5]),
        ("return [1, 2, 3]", [1.0, 2.0, 3.0]),
        ("return (outputs['y'][:, 0] == targets)", [1.0, 0.0, 1.0]),
        ("return float('nan')", [np.nan]),
    ],
)
def test_a_custom_metric_gives_one_number_or_one_for_each_example(
    custom: Callable[[str], Declared], code: str, scores: list[float]
) -> None:
    found = answered([[1.0], [2.0], [3.0]], [1, 0, 3], project=custom(code))
    np.testing.assert_array_equal(found.kept["score"], scores)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("return None", "gave NoneType, not numbers"),
        ("return 'good'", "gave str, not numbers"),
        ("return [1, 2]", "gave figures of shape [2]; return one number, or one for each of the 3 examples"),
        ("return outputs['y']", "gave figures of shape [3, 1]"),
        ("return outputs", "gave dict, not numbers"),
        ("return 1 / 0", "raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_custom_metric_that_gives_something_else_is_told(
    custom: Callable[[str], Declared], code: str, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        answered([[1.0], [2.0], [3.0]], [1, 0, 3], project=custom(code))
    assert said in str(refused.value)
    assert "metric_" in str(refused.value.where), "the user's own file or name"


@pytest.mark.parametrize("sizes", [(3, 3, 1), (1, 3, 3), (1, 1, 5), (1,) * 7, (7,)], ids=str)
@pytest.mark.parametrize("code", ["return np.squeeze(outputs['y'] - targets[:, None])", "return outputs['y'].max()"])
def test_how_many_examples_a_batch_has_changes_no_score(
    custom: Callable[[str], Declared], code: str, sizes: tuple[int, ...]
) -> None:
    """Of one example, what is a score for each may be a plain number too."""
    declared, answers = custom(code), np.arange(7.0)[:, None]
    keeper = keeper_of(declared)
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        keeper.add({"y": answers[end - size : end]}, np.full(size, 2.0))
    wanted = [6.0] if "max" in code else [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    assert keeper.kept().arrays["score"].tolist() == wanted


def test_a_metric_that_gives_both_scores_and_a_number_is_told(custom: Callable[[str], Declared]) -> None:
    declared = custom("return np.zeros(3) if len(targets) == 3 else 0.5")
    keeper = keeper_of(declared)
    keeper.add({"y": np.zeros(3)}, np.zeros(3))
    with pytest.raises(UsageError, match="a score for each example before, and one number now"):
        keeper.add({"y": np.zeros(2)}, np.zeros(2))


def test_a_metric_of_all_answers_takes_them_of_one_shape(custom: Callable[[str], Declared]) -> None:
    """Sentences of a batch are as long as the longest in it."""
    declared = custom("return 0.5")
    keeper = keeper_of(declared)
    for length in (3, 4):
        keeper.add({"y": np.zeros((2, length))}, np.zeros(2))
    with pytest.raises(UsageError, match=r"`y` of all batches are no one array: .* \[2, 3\] and \[2, 4\]") as refused:
        keeper.kept()
    assert refused.value.where == declared.task.metric
    assert "one score for each example" in str(refused.value.do)


@pytest.mark.parametrize("code", ["return [0.5] * len(targets)", "return outputs['scale'].sum()"])
def test_an_output_that_is_one_number_stands_beside_the_others(custom: Callable[[str], Declared], code: str) -> None:
    declared = custom(code)
    keeper = keeper_of(declared)
    for _ in range(2):
        finite = keeper.add({"y": np.array([[1.0], [np.nan]]), "scale": np.array(0.25)}, np.zeros(2))
        assert finite.tolist() == [True, False]
    assert keeper.kept().arrays["score"].tolist() == ([0.5] * 4 if "len" in code else [0.5])


def test_every_class_is_to_be_judged() -> None:
    three = answered([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 2.0]], [0, 1, 2])
    check(project(), three)
    check(project("{kind: classification, classes: [cat, dog, owl]}"), three)


@pytest.mark.parametrize(
    ("task", "targets", "said"),
    [
        ("classification", [0, 1, 1], "no example of class 2 (1 of 3 classes are absent)"),
        ("{kind: classification, classes: [cat, dog, owl]}", [2, 2, 2], "no example of class cat, dog (2 of 3"),
        ("{kind: classification, classes: [cat, dog]}", [0, 1, 2], "2 class names are declared, and the model tells 3"),
        ("classification", [0, 1, 3], "target 3 is beyond the model's 3 classes (0 to 2)"),
    ],
)
def test_a_test_split_that_cannot_judge_every_class_is_refused(task: str, targets: list[int], said: str) -> None:
    found = answered([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 2.0]], targets)
    with pytest.raises(UsageError) as refused:
        check(project(task), found)
    assert said in str(refused.value)


def test_absent_classes_may_be_allowed_but_not_targets_beyond_the_model() -> None:
    allow = project("{kind: classification, absent_classes: allow}")
    check(allow, answered([[1.0, 0, 0]], [0]))
    with pytest.raises(UsageError, match="beyond the model's 3 classes"):
        check(allow, answered([[1.0, 0, 0]], [7]))


def test_many_absent_classes_are_told_in_short() -> None:
    with pytest.raises(UsageError, match=r"class 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and others \(99 of 100"):
        check(project(), answered([list(range(100))], [0]))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (np.float32(5), "the output has shape () for 3 examples: its first size must be the batch"),
        (np.zeros((1, 10)), "shape (1, 10) for 3 examples"),
        (np.zeros((3, 0)), "shape (3, 0) for 3 examples"),
        ([{0: 0.5, 1: 0.5}] * 3, "the output `y` holds object, not numbers"),
        (["cat", "dog", "owl"], "the output `y` holds <U3, not numbers"),
    ],
    ids=["one number", "another batch", "nothing", "objects", "names"],
)
def test_an_odd_output_is_told(output: Any, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        answered(output, [0, 1, 0])
    assert str(refused.value).startswith("half on test: ")
    assert said in str(refused.value)
    assert "`model.output`" in str(refused.value)


def test_an_output_that_the_model_lacks_is_told_with_those_it_has() -> None:
    lacking = understand(
        CONFIG.format(task="classification").replace("model.onnx", "model.onnx, output: scores"), "", Path()
    )
    with pytest.raises(
        UsageError, match=r"makeweight\.yaml: model\.output: the model has no output `scores`; it has y"
    ):
        answered([[1.0, 0.0]], [0], project=lacking.declared)
