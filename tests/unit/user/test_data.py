"""The user's examples: every usual kind of loader works, and every bad one is told by what and where it is."""

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from makeweight.project.reading import understand
from makeweight.user import data, streamed
from makeweight.user.declared import Declared
from makeweight.user.split import Split
from makeweight_base.errors import UsageError
from split_values import digest, split_of, whole

CONFIG = """\
model: {{build: 'net:build', weights: w.pt, inputs: {inputs}}}
data: {data}
task: {task}
seed: 3
variants: {{int8: {{steps: [quantize]}}}}
budget: {{size: {{max: 1 MB}}}}
"""
ONE, TWO = "{x: [N, 2]}", "{left: [N, 2], right: [N]}"

Make = Callable[..., Declared]
_numbers = itertools.count()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Make]:
    """A project whose loader is the given code, in a module of a name of its own: Python keeps what it imported."""
    before = sys.path[:]

    def make(code: str, *, inputs: str = ONE, task: str = "classification", more: str = "") -> Declared:
        name = f"loader_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text("import numpy as np\n" + dedent(code))
        text = CONFIG.format(inputs=inputs, task=task, data=f"{{load: '{name}:load'{more.format(name=name)}}}")
        return understand(text, "makeweight.yaml", tmp_path).declared

    yield make
    sys.path[:] = before


def refusal(project: Declared, split: str = "test") -> str:
    """What is said when it is loaded or, at the latest, read."""
    with pytest.raises(UsageError) as refused:
        digest(data.load(project, split))
    return str(refused.value)


# Every usual kind

X = np.arange(6, dtype=np.float32).reshape(3, 2)
Y = np.array([0, 1, 2])


@pytest.mark.parametrize(
    "code",
    [
        "def load(split): return np.arange(6.).reshape(3, 2), np.arange(3)",
        "def load(split): return np.arange(6.).reshape(3, 2), [0, 1, 2]",
        "def load(split): return [[0, 1.], [2, 3], [4, 5]], [0, 1, 2]",
        "def load(split): return {'x': np.arange(6.).reshape(3, 2)}, np.arange(3)",
        "def load(split): return np.arange(6.).reshape(3, 2), np.array([0., 1., 2.])",
        "def load(split): return np.arange(6.).reshape(3, 2), np.arange(3).reshape(3, 1)",
        "def load(split): return np.arange(6.).reshape(3, 2), np.arange(3, dtype=np.uint8)",
        "def load(split): return [(np.array([2. * i, 2 * i + 1]), i) for i in range(3)]",
        "def load(split): return [[[2. * i, 2 * i + 1], i] for i in range(3)]",
        "def load(split): return tuple(({'x': [2. * i, 2 * i + 1]}, i) for i in range(3))",
        "def load(split): return (([0., 1.], 0), ([2., 3.], 1), ([4., 5.], 2))",
        "def load(split): return ((np.array([2. * i, 2 * i + 1]), i) for i in range(3))",
        """
        def load(split):
            for i in range(3):
                yield np.array([2. * i, 2 * i + 1]), np.int64(i)
        """,
        """
        class Pairs:  # as torch.utils.data.Dataset: no __iter__, and any index is answered
            def __len__(self): return 3
            def __getitem__(self, i): return np.array([2. * i, 2 * i + 1]), i
        def load(split): return Pairs()
        """,
    ],
)
def test_arrays_pairs_generators_and_datasets(project: Make, code: str) -> None:
    found = data.load(project(code), "test")
    for _ in range(2):  # each pass gives them again
        inputs, targets = whole(found)
        np.testing.assert_array_equal(inputs["x"], X)
        np.testing.assert_array_equal(targets, Y)
        assert (inputs["x"].dtype, targets.dtype) == (np.float32, np.int64)
    assert (found.count, found.name) == (3, "test")


@pytest.mark.parametrize("dtype", [">f4", ">f8", "longdouble", ">i4"])
def test_numbers_of_another_machine_or_precision_are_those_that_tensors_have(project: Make, dtype: str) -> None:
    code = f"def load(split): return np.arange(6).reshape(3, 2).astype('{dtype}'), np.arange(3, dtype='>i2')"
    batch = data.load(project(code), "test").first(3)
    np.testing.assert_array_equal(batch.inputs["x"], X)
    assert (batch.inputs["x"].dtype.isnative, batch.inputs["x"].itemsize) == (True, 4)
    assert batch.targets is not None
    assert batch.targets.dtype == np.int64


@pytest.mark.parametrize(
    "code",
    [
        "def load(split): return {'left': np.ones((3, 2)), 'right': np.arange(3)}, [0, 1, 0]",
        "def load(split): return (np.ones((3, 2)), np.arange(3)), [0, 1, 0]",
        "def load(split): return [(({'right': i, 'left': np.ones(2)}), i % 2) for i in range(3)]",
        "def load(split): return [((np.ones(2), i), i % 2) for i in range(3)]",
    ],
)
def test_several_inputs(project: Make, code: str) -> None:
    found = data.load(project(code, inputs=TWO), "test")
    inputs, targets = whole(found)
    np.testing.assert_array_equal(inputs["left"], np.ones((3, 2)))
    np.testing.assert_array_equal(inputs["right"], [0, 1, 2])
    np.testing.assert_array_equal(targets, [0, 1, 0])


def test_a_regression_keeps_targets_of_any_shape(project: Make) -> None:
    found = data.load(
        project("def load(split): return np.ones((3, 2)), np.full((3, 4), -.5)", task="regression"), "test"
    )
    assert whole(found)[1].shape == (3, 4)


def test_one_example_is_enough(project: Make) -> None:
    assert data.load(project("def load(split): return [[1., 2.]], [0]"), "test").count == 1


def test_the_loader_is_told_the_split(project: Make) -> None:
    code = "def load(split): return np.ones((len(split), 2)), np.zeros(len(split), int)"
    assert data.load(project(code), "validation").count == len("validation")


def test_slices_are_names_or_none(project: Make) -> None:
    code = """
    def load(split): return np.ones((3, 2)), [0, 1, 0]
    def slices(split): return ("night" if i else None for i in range(3))
    """
    found = data.load(project(code, more=", slices: '{name}:slices'"), "test")
    assert found.slices is not None
    assert found.slices.tolist() == ["", "night", "night"]


@pytest.mark.parametrize(
    ("names", "more"),
    [
        ("['a'] * 9", ""),
        ("('a' for _ in range(9))", ""),
        ("['a'] * 12", ", examples: {{test: 9}}"),
        ("itertools.repeat('a')", ", examples: {{test: 9}}"),
    ],
)
def test_as_many_slices_as_examples_are_never_too_many(
    project: Make, monkeypatch: pytest.MonkeyPatch, names: str, more: str
) -> None:
    monkeypatch.setattr(streamed, "ENDLESS", 4)
    code = f"""
    import itertools
    def load(split): return np.ones((9, 2)), [0] * 9
    def slices(split): return {names}
    """
    found = data.load(project(code, more=", slices: '{name}:slices'" + more), "test")
    assert found.slices is not None
    assert found.slices.tolist() == ["a"] * 9


# Every bad one


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def load(split): return None", "data.load('test'): gave NoneType, not examples"),
        ("def load(split): return 5", "gave int, not examples"),
        ("def load(split): return {'x': np.ones((3, 2))}", "gave dict, not examples"),
        ("def load(split): return []", "gave no examples"),
        ("def load(split): return iter(())", "gave no examples"),
        ("def load(split): return np.ones((0, 2)), np.ones(0, int)", "gave no examples"),
        ("def load(split): return np.ones((3, 2)), None", "gave None for the targets"),
        ("def load(split): return [1, 2]", "example 0 is no (input, target) pair but int"),
        ("def load(split): return [(1, 2, 3)]", "example 0 is no (input, target) pair but a tuple of 3"),
        ("def load(split): return [([1., 2.], 0), 'x']", "example 1 is no (input, target) pair but str"),
        ("def load(split): return np.ones((3, 2))", "example 0 is no (input, target) pair but ndarray"),
        ("def load(split): return np.ones((3, 2)), [0, 1]", "has 3 examples of `x` and 2 targets"),
        ("def load(split): return np.float32(1), [0, 1]", "has 0 examples of `x` and 2 targets"),
        ("def load(split): return [[1, 2], [3]], [0, 1]", "input `x` cannot be made an array"),
        ("def load(split): return np.full((3, 2), None), [0, 1, 0]", "input `x` holds object, not numbers"),
        ("def load(split): return [['a', 'b']], [0]", "input `x` holds <U1, not numbers"),
        ("def load(split): return np.ones((1, 2), complex), [0]", "input `x` holds complex128, not numbers"),
        (
            "def load(split): return [[1, 2], [np.nan, 1]], [0, 1]",
            "example 1 of `x` holds NaN, infinity or a number beyond",
        ),
        ("def load(split): return [[1, 2], [np.inf, 1]], [0, 1]", "example 1 of `x` holds NaN, infinity"),
        (
            "def load(split): return [[1, 1e300]], [0]",
            "example 0 of `x` holds NaN, infinity or a number beyond float32",
        ),
        ("def load(split): return {'y': np.ones((1, 2))}, [0]", "gave the inputs y, and the model's are x"),
        ("def load(split): return [({'y': 1}, 0)]", "gave the inputs y, and the model's are x"),
        (
            "def load(split): return np.ones((2, 2)), [0, -1]",
            "the target of example 1 is -1, and class indices begin at 0",
        ),
        ("def load(split): return np.ones((2, 2)), [0, 1e300]", "the target of example 1 is 1e+300, and class indices"),
        (
            "def load(split): return np.ones((2, 2)), np.array([0, 2**64 - 1], np.uint64)",
            "the target of example 1 is 1.8",
        ),
        ("def load(split): return np.ones((2, 2)), [0, .5]", "targets of a classification are class indices"),
        ("def load(split): return np.ones((2, 2)), np.eye(2)", "one class index an example, not of shape (2,)"),
        ("def load(split): return np.ones((2, 2)), [0, np.nan]", "the target of example 1 is not finite"),
        ("def load(split): return np.ones((2, 2)), ['a', 'b']", "targets hold <U1, not numbers"),
        ("def load(split): return np.ones((2, 2)), [[0], [1, 2]]", "targets cannot be made an array"),
        ("def load(split): return [([1., 2.], None)]", "targets hold object, not numbers"),
    ],
)
def test_bad_examples_are_told(project: Make, code: str, said: str) -> None:
    told = refusal(project(code))
    assert said in told
    assert told.startswith("data.load('test'): ")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def load(split): return np.ones((3, 2)), [0, 1, 0]", "gave 1 inputs, and the model has 2: left, right"),
        (
            "def load(split): return (np.ones((3, 2)),) * 3, [0, 1, 0]",
            "gave 3 inputs, and the model has 2: left, right",
        ),
        (
            "def load(split): return {'left': np.ones((3, 2))}, [0, 1, 0]",
            "gave the inputs left, and the model's are left, right",
        ),
        ("def load(split): return [(np.ones(2), 0)]", "each example's input is a mapping or a tuple of as many arrays"),
        ("def load(split): return (np.ones((3, 2)), np.ones(4)), [0, 1, 0]", "has 4 examples of `right` and 3 targets"),
    ],
)
def test_bad_sets_of_inputs_are_told(project: Make, code: str, said: str) -> None:
    assert said in refusal(project(code, inputs=TWO))


@pytest.mark.parametrize("task", ["regression", "'some:metric'"])
def test_one_target_for_all_is_told(project: Make, task: str) -> None:
    assert "each needs its own" in refusal(project("def load(split): return np.ones((3, 2)), np.array(1.)", task=task))


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("def load(split):\n    rows = {}\n    return rows[split]", 4, "` raised KeyError: 'test'"),
        ("def load(split):\n    yield [1., 2.], 0\n    raise OSError('gone')", 4, "` raised OSError: gone"),
        (
            "class D:\n  def __len__(self): return 2\n  def __getitem__(self, i):\n    1 / 0\nload = lambda split: D()",
            5,
            "[0]` raised ZeroDivisionError",
        ),
        ("import json\ndef load(split):\n    return json.loads('{')", 4, "raised JSONDecodeError"),
        ("def load(split):\n    import sys\n    sys.exit(0)", 4, "raised SystemExit: 0"),
        ("def load(split):\n    import no_such_package", 3, "No module named 'no_such_package'"),
        ("\ndef load():\n    return [1], [0]", 3, "raised TypeError: load() takes 0 positional arguments"),
    ],
)
def test_a_loader_that_raises_is_told_with_its_own_line(project: Make, code: str, line: int, said: str) -> None:
    """Also where the error comes out of a library: the line is the innermost of the user's own."""
    made = project(code)
    told = refusal(made)
    name = str(made.data.load).partition(":")[0]
    assert told.startswith(f"{name}.py:{line}: `{name}:load('test')")
    assert said in told
    assert "your own code" in told


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("def load(split)\n    return", 2, "raised SyntaxError"),
        ("import no_such_package", 2, "needs the package `no_such_package`, which is not installed"),
        ("x = 1\nraise RuntimeError('no licence')", 3, "raised RuntimeError: no licence"),
        ("import sys\nsys.exit(0)", 3, "raised SystemExit: 0"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_line(project: Make, code: str, line: int, said: str) -> None:
    made = project(code)
    told = refusal(made)
    assert said in told
    assert told.startswith(f"{str(made.data.load).partition(':')[0]}.py:{line}: ")


def test_names_that_do_not_exist_are_told_with_where_they_are_declared(project: Make) -> None:
    told = refusal(project("x = 1"))
    assert told.startswith("makeweight.yaml: data.load: `loader_")
    assert "has no `load`" in told
    assert "has no `load`; did you mean `loads`?" in refusal(project("def loads(split): ..."))
    assert "load` is not callable, but of type int" in refusal(project("load = 5"))
    text = CONFIG.format(inputs=ONE, task="classification", data="{load: 'nowhere.at_all:load'}")
    told = refusal(understand(text, "makeweight.yaml", Path("/tmp")))
    assert "there is no module `nowhere`" in told


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        ("def slices(split): return ['a']", "named 1 examples, and the split has 2"),
        ("def slices(split): return None", "gave NoneType, not a name for each example"),
        ("def slices(split): return 'ab'", "gave str, not a name for each example"),
        ("def slices(split): return (1 / 0 for _ in range(2))", "raised ZeroDivisionError"),
        ("def slices(split):\n while True: yield 'a'", "named 7 examples, and goes on"),
        ("def slices(split): raise ValueError('x')", "raised ValueError: x"),
    ],
)
def test_bad_slices_are_told(project: Make, monkeypatch: pytest.MonkeyPatch, slices: str, said: str) -> None:
    monkeypatch.setattr(streamed, "ENDLESS", 4)
    code = "def load(split): return np.ones((2, 2)), [0, 1]\n" + slices
    assert said in refusal(project(code, more=", slices: '{name}:slices'"))


# .npz files


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Declared]:
    def make(*, inputs: str = ONE, task: str = "classification", **splits: dict[str, object]) -> Declared:
        for split, arrays in splits.items():
            np.savez(tmp_path / f"{split}.npz", **arrays)  # type: ignore[arg-type]
        files = ", ".join(f"{split}: {split}.npz" for split in {"test": 0, "train": 0, **splits})
        return understand(
            CONFIG.format(inputs=inputs, task=task, data=f"{{npz: {{{files}}}}}"), "makeweight.yaml", tmp_path
        )

    return make


def test_npz_files_by_split(npz: Make) -> None:
    inputs, targets = whole(data.load(npz(test={"x": X, "target": Y}), "test"))
    np.testing.assert_array_equal(inputs["x"], X)
    np.testing.assert_array_equal(targets, Y)


def test_a_single_array_of_another_name_is_the_single_input(npz: Make) -> None:
    assert list(whole(data.load(npz(test={"arr_0": X, "target": Y}), "test"))[0]) == ["x"]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, "test.npz: has no array `target`; it has x"),
        ({}, "test.npz: has no array `target`; it has none"),
        ({"target": Y}, "gave the inputs none, and the model's are x"),
        ({"x": X, "z": X, "target": Y}, "gave the inputs x, z, and the model's are x"),
        ({"x": X, "target": Y[:2]}, "has 3 examples of `x` and 2 targets"),
        ({"x": X, "target": np.array(3)}, "gave one target for all examples"),
        ({"x": np.array(3.0), "target": Y}, "has 0 examples of `x` and 3 targets"),
        ({"x": np.array([None]), "target": Y}, "cannot be read as .npz"),
    ],
)
def test_bad_npz_files_are_told(npz: Make, arrays: dict[str, object], said: str) -> None:
    told = refusal(npz(test=arrays))
    assert said in told
    assert told.startswith("test.npz: ")


def test_files_that_are_no_npz_are_told(npz: Make, tmp_path: Path) -> None:
    made = npz()
    assert refusal(made).startswith("test.npz: no such file")
    (tmp_path / "test.npz.dvc").touch()
    assert "Run `dvc pull test.npz.dvc`" in refusal(made)
    for content in (b"", b"PK\x03\x04cut short", b"hello"):
        (tmp_path / "test.npz").write_bytes(content)
        assert refusal(made).startswith("test.npz: cannot be read as .npz")
    np.save(tmp_path / "test.npy", X)
    (tmp_path / "test.npy").rename(tmp_path / "test.npz")
    assert refusal(made).startswith("test.npz: cannot be read as .npz")
    (tmp_path / "test.npz").unlink()
    (tmp_path / "test.npz").mkdir()
    assert refusal(made).startswith("test.npz: cannot be read as .npz")


def test_a_split_that_is_not_declared_is_told(npz: Make) -> None:
    assert "there is no `validation` split: data.npz has test, train" in refusal(npz(), "validation")


# Calibration


def test_calibration_is_a_sample_of_a_split_drawn_with_the_seed(project: Make) -> None:
    code = "def load(split): return np.arange(1000.).reshape(500, 2), np.zeros(500, int)"
    made = project(code)
    first, again = data.calibration(made), data.calibration(made)
    assert (first.name, first.count) == ("train", 256)
    drawn = whole(first)[0]["x"]
    np.testing.assert_array_equal(drawn, whole(again)[0]["x"])
    assert len(np.unique(drawn[:, 0])) == 256, "without replacement"
    few = project("def load(split): return np.ones((5, 2)), np.zeros(5, int)")
    assert data.calibration(few).count == 5


@pytest.mark.parametrize("target", [{}, {"target": np.array(["any", "thing"])}, {"target": np.array(1)}])
def test_a_calibration_file_needs_no_targets(npz: Make, target: dict[str, object]) -> None:
    assert data.calibration(npz(calibration={"x": X[:2], **target})).count == 2


def test_a_bad_calibration_file_is_told(npz: Make) -> None:
    for arrays, said in (({"x": np.array(1.0)}, "no examples"), ({"x": np.full((2, 2), np.nan)}, "holds NaN")):
        with pytest.raises(UsageError, match=said):
            digest(data.calibration(npz(calibration=arrays)))


# The split itself


def split(**changes: Any) -> Split:
    given = {"inputs": {"a": X, "b": X + 1}, "targets": Y, "slices": np.array(["", "n", "n"]), **changes}
    return replace(split_of(given.get("name", "test"), given["inputs"], given["targets"]), slices=given["slices"])


def test_batches_in_order_with_a_smaller_last_one() -> None:
    batches = list(split().batches(2))
    assert [batch.numbers.tolist() for batch in batches] == [[0, 1], [2]]
    np.testing.assert_array_equal(np.concatenate([batch.inputs["b"] for batch in batches]), X + 1)


def test_taking_some_keeps_examples_together() -> None:
    some = split().take([2, 0, 2])
    inputs, targets = whole(some)
    np.testing.assert_array_equal(inputs["a"], X[[2, 0, 2]])
    np.testing.assert_array_equal(targets, Y[[2, 0, 2]])
    assert some.slices is not None
    assert some.slices.tolist() == ["n", "", "n"]


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": np.array([0, 1, 1])},
        {"targets": Y.astype(np.int32)},
        {"inputs": {"a": X, "b": X}},
        {"inputs": {"a": X, "c": X + 1}},
        {"inputs": {"a": X.astype(np.float64), "b": X + 1}},
        {"inputs": {"a": X.reshape(3, 1, 2), "b": X + 1}},
        {"slices": None},
        {"slices": np.array(["n", "", "n"])},
    ],
)
def test_any_difference_shows_in_the_digest(changes: dict[str, object]) -> None:
    assert digest(split(**changes)) != digest(split())


@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_the_digest_depends_on_nothing_else(size: int) -> None:
    other = split(name="validation", inputs={"b": X + 1, "a": np.asfortranarray(X)})
    assert digest(other, size) == digest(split())


def test_an_input_named_target_is_digested_too() -> None:
    one, other = (digest(split_of("test", {"target": X + shift}, Y)) for shift in (0, 1))
    assert one != other
