"""What is read as it is needed: by number, as it comes, collated, by other processes; and what is said of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from makeweight.project.reading import understand
from makeweight.user import data, streamed
from makeweight.user.split import Batch, Split
from makeweight_base.errors import OutOfMemory, UsageError
from split_values import digest, whole

CONFIG = """\
model: {{build: 'net:build', weights: w.pt, inputs: {{x: [N, 2]}}}}
data: {{load: '{name}:load', workers: {workers}{examples}}}
variants: {{int8: {{steps: [quantize]}}}}
budget: {{size: {{max: 1 MB}}}}
"""
_numbers = itertools.count()

Load = Callable[..., Split]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """The train split of a loader of this code."""
    before = sys.path[:]

    def make(code: str, workers: int = 0, most: int | None = None) -> Split:
        name = f"streaming_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text("import random\nimport numpy as np\n" + dedent(code))
        examples = "" if most is None else f", examples: {{train: {most}}}"
        text = CONFIG.format(name=name, workers=workers, examples=examples)
        return data.load(understand(text, "makeweight.yaml", tmp_path).declared, "train")

    yield make
    sys.path[:] = before


def refusal(split: Split, size: int = 2) -> str:
    with pytest.raises(UsageError) as refused:
        list(split.batches(size))
    return str(refused.value)


BY_NUMBER = """
read = []
class Ten:
    def __len__(self): return 10
    def __getitem__(self, i):
        read.append(i)
        return np.array([i, i + .5], np.float32), i % 2
def load(split): return Ten()
"""
AS_IT_COMES = "def load(split): return ((np.array([i, i + .5], np.float32), i % 2) for i in range(10))"
TEN = np.stack([np.arange(10), np.arange(10) + 0.5], 1).astype(np.float32)


def test_no_more_is_read_than_is_asked_for(load: Load) -> None:
    split = load(BY_NUMBER)
    read = sys.modules[str(split.source.form.called).partition(":")[0]].read  # type: ignore[attr-defined]
    assert read == [], "loading reads nothing"
    first = next(split.batches(4))
    assert read == [0, 1, 2, 3]
    np.testing.assert_array_equal(first.inputs["x"], TEN[:4])
    read.clear()
    some = split.take([7, 2])
    assert sorted(read) == [2, 7]
    read.clear()
    np.testing.assert_array_equal(whole(some)[0]["x"], TEN[[7, 2]])
    assert read == [], "what was taken is held"


@pytest.mark.parametrize("code", [BY_NUMBER, AS_IT_COMES], ids=["by_number", "as_it_comes"])
def test_what_is_taken_and_drawn_is_that_of_the_arrays(load: Load, code: str) -> None:
    split = load(code)
    np.testing.assert_array_equal(whole(split.take([9, 0, 0]))[0]["x"], TEN[[9, 0, 0]])
    drawn = whole(split.draw(6, seed=1))[0]["x"]
    assert drawn.shape == (6, 2)
    assert (np.diff(drawn[:, 0]) > 0).all(), "in order, none twice"
    np.testing.assert_array_equal(drawn, whole(load(code).draw(6, seed=1))[0]["x"])
    assert not np.array_equal(drawn, whole(split.draw(6, seed=2))[0]["x"])
    np.testing.assert_array_equal(whole(split.draw(99, seed=1))[0]["x"], TEN)
    assert split.length() == 10


@pytest.mark.parametrize("code", [BY_NUMBER, AS_IT_COMES, "def load(split): return TEN, np.arange(10) % 2"])
def test_an_example_that_was_drawn_is_refused_by_its_own_number(load: Load, code: str) -> None:
    spoilt = code.replace("[i, i + .5]", "[i, i + .5 if i != 8 else np.nan]")
    split = load("TEN = np.ones((10, 2), np.float32)\nTEN[8, 1] = np.nan\n" + dedent(spoilt))
    assert "example 8 of `x` holds NaN" in refusal(split.take([2, 8]))
    assert "example 8 of `x` holds NaN" in refusal(split.draw(9, seed=1).take([0, 1, 2, 3, 4, 5, 6, 7, 8]))


def test_every_example_of_a_stream_is_drawn_as_often(load: Load) -> None:
    split = load(AS_IT_COMES)
    counts = np.zeros(10)
    for seed in range(400):
        counts[[int(batch.inputs["x"][0, 0]) for batch in split.draw(3, seed).batches(1)]] += 1
    # binomial(400, 0.3): 120, standard deviation 9.2
    assert (abs(counts - 120) < 4 * 9.2).all()


def test_one_digest_whatever_the_examples_come_in(load: Load) -> None:
    arrays = "def load(split): return np.stack([np.arange(10), np.arange(10) + .5], 1), np.arange(10) % 2"
    rows = "def load(split): return [{'x': [i, i + .5], 'label': i % 2, 'id': i} for i in range(10)]"
    found = {digest(load(code), size) for code in (arrays, BY_NUMBER, AS_IT_COMES, rows) for size in (1, 3, 64)}
    assert len(found) == 1
    assert digest(load(BY_NUMBER, workers=2), 3) in found


# Training


def _seen(split: Split, epoch: int, size: int = 3, seed: int = 0) -> list[int]:
    return [int(number) for batch in split.epoch(size, seed, epoch) for number in batch.inputs["x"][:, 0]]


@pytest.mark.parametrize("code", [BY_NUMBER, AS_IT_COMES], ids=["by_number", "as_it_comes"])
def test_an_epoch_has_each_example_once_in_an_order_of_its_own(load: Load, code: str) -> None:
    split = load(code)
    first, again, second = _seen(split, 1, 4), _seen(load(code), 1, 4), _seen(split, 2, 4)
    assert first == again
    assert first != second
    assert sorted(first) == sorted(second) == list(range(10))


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(9, 4, [4, 4]), (10, 4, [4, 4, 2]), (3, 1, [1, 1, 1]), (1, 4, [1])]
)
@pytest.mark.parametrize("by_number", [True, False])
def test_a_single_example_left_over_is_dropped(
    load: Load, count: int, size: int, lengths: list[int], by_number: bool
) -> None:
    pairs = f"([i, i], 0) for i in range({count})"
    split = load(f"def load(split): return {'[' + pairs + ']' if by_number else '(' + pairs + ')'}")
    assert [len(batch) for batch in split.epoch(size, 0, 1)] == lengths
    assert split.steps(size) == len(lengths)


def test_what_a_loader_draws_does_not_depend_on_the_number_of_workers(load: Load) -> None:
    noisy = """
    class Noisy:
        def __len__(self): return 9
        def __getitem__(self, i): return np.array([random.random(), np.random.rand()]), i % 2
    def load(split): return Noisy()
    """

    def change(batch: Batch, rng: np.random.Generator) -> Batch:
        return Batch(batch.numbers, {"x": batch.inputs["x"] + rng.random()}, batch.targets)

    drawn = [
        np.concatenate([batch.inputs["x"] for batch in load(noisy, workers).epoch(2, 5, epoch, change)])
        for workers, epoch in ((0, 1), (1, 1), (3, 1), (0, 2))
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert len(np.unique(drawn[0])) == drawn[0].size, "no two examples alike"
    assert not np.isin(drawn[0], drawn[3]).any(), "and no two epochs"


# Shapes that vary


RAGGED = """
LENGTHS = [2, 2, 3, 3, 3, 1]
def load(split): return [(np.full(n, i, np.float32), i % 2) for i, n in enumerate(LENGTHS)]
"""


def test_neighbours_of_one_shape_are_together(load: Load) -> None:
    split = load(RAGGED)
    assert [batch.inputs["x"].shape for batch in split.batches(4)] == [(2, 2), (2, 3), (1, 3), (1, 1)]
    assert digest(split, 1) == digest(split, 4) == digest(split, 6)
    assert [batch.inputs["x"].shape for batch in split.take([0, 5]).batches(2)] == [(1, 2), (1, 1)]


def test_a_step_of_several_shapes_is_told(load: Load) -> None:
    with pytest.raises(UsageError, match=r"different shapes: `x` \[\d\] and `x` \[\d\]") as refused:
        list(load(RAGGED).epoch(6, 0, 1))
    assert "collate_fn" in str(refused.value)
    assert len(list(load(RAGGED).epoch(1, 0, 1))) == 6


# PyTorch's own

COLLATED = """
from torch.utils.data import DataLoader
def together(pairs):
    longest = max(len(x) for x, _ in pairs)
    return {"x": np.stack([np.pad(x, (0, longest - len(x))) for x, _ in pairs]), "labels": [y for _, y in pairs]}
def load(split):
    return DataLoader([(np.full(n, i, np.float32), i % 2) for i, n in enumerate([2, 2, 3, 1])], collate_fn=together)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loaders_collate_makes_the_batches(load: Load, workers: int) -> None:
    split = load(COLLATED, workers)
    first, second = (batch.inputs["x"] for batch in split.batches(3))
    np.testing.assert_array_equal(first, [[0, 0, 0], [1, 1, 0], [2, 2, 2]])
    np.testing.assert_array_equal(second, [[3]])
    assert [batch.targets.tolist() for batch in split.batches(4)] == [[0, 1, 0, 1]]  # type: ignore[union-attr]
    assert digest(split, 1) == digest(split, 3) == digest(split, 4), "of the examples, not of what they are padded to"
    assert [batch.inputs["x"].shape for batch in split.take([1, 3]).batches(2)] == [(2, 2)]


def test_data_sets_of_torch(load: Load) -> None:
    """A shuffling loader is read in the order of its data; a sampler's choice counts; a stream has no numbers."""
    shown = {
        "DataLoader(pairs, batch_size=4, shuffle=True)": list(range(10)),
        "DataLoader(pairs, sampler=SubsetRandomSampler([5, 1, 3]))": [1, 3, 5],
        "DataLoader(pairs, batch_sampler=[[8, 2], [4]])": [2, 4, 8],
        "DataLoader(Comes(), batch_size=4)": list(range(10)),
        "DataLoader(pairs, batch_size=None)": list(range(10)),
        "Comes()": list(range(10)),
        "TensorDataset(torch.tensor([[i, i] for i in range(10)]), torch.arange(10))": list(range(10)),
        "Subset(pairs, [6, 3])": [6, 3],
    }
    for given, expected in shown.items():
        code = f"""
        import torch
        from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler, TensorDataset
        pairs = [(torch.tensor([i, i]), torch.tensor(i)) for i in range(10)]
        class Comes(IterableDataset):
            def __iter__(self): return iter(pairs)
        def load(split): return {given}
        """
        inputs, targets = whole(load(code))
        assert inputs["x"][:, 0].tolist() == targets.tolist() == expected, given


# Rows


SPLIT = """
from PIL import Image

def row(i, form):
    number = {"plain": int, "numpy": np.int64}[form]
    x = {"plain": list, "numpy": lambda values: np.array(values, np.float32)}[form]([i, i + .5])
    return {"x": x, "sentence": "words", "idx": number(i), "label": number(i % 2)}

class Split:
    # as `datasets` of Hugging Face has a split: rows by number, columns by name, columns of some rows.
    def __init__(self, form): self.form = form
    def __len__(self): return 10
    def __getitem__(self, key):
        if isinstance(key, int):
            return row(key, self.form)
        if isinstance(key, str):
            return [row(i, self.form)[key] for i in range(10)]
        return {name: self[name][key] for name in row(0, self.form)}
    def __iter__(self): return (self[i] for i in range(10))

class Streamed:
    def __iter__(self): return (row(i, "plain") for i in range(10))

class Pictures:
    def __len__(self): return 3
    def __getitem__(self, i):
        return {"image": Image.fromarray(np.full((4, 6, 3), i, np.uint8)), "label": i}
"""


@pytest.mark.parametrize(
    "given",
    ["Split('plain')", "Split('numpy')", "Streamed()", "(Split('plain')['x'], Split('plain')['label'])"],
    ids=["rows", "with_format", "streamed", "columns"],
)
def test_a_split_of_hugging_face_is_read_by_its_columns(load: Load, given: str) -> None:
    code = f"{SPLIT}\ndef load(split): return {given}"
    inputs, targets = whole(load(code))
    np.testing.assert_array_equal(inputs["x"], TEN)
    assert targets.tolist() == [i % 2 for i in range(10)]
    assert digest(load(code)) == digest(load(BY_NUMBER))


def test_its_pictures_are_what_pillow_has_until_they_are_transformed(load: Load) -> None:
    inputs, targets = whole(load(f"{SPLIT}\ndef load(split): return Pictures()"))
    assert (inputs["x"].shape, inputs["x"].dtype) == ((3, 4, 6, 3), np.uint8)
    assert inputs["x"][:, 0, 0, 0].tolist() == targets.tolist() == [0, 1, 2]


def test_all_splits_at_once_are_refused(load: Load) -> None:
    with pytest.raises(UsageError, match="gave dict, not examples") as refused:
        load(f"{SPLIT}\ndef load(split): return {{'train': Split('plain'), 'test': Split('plain')}}")
    assert "the split that is asked for" in str(refused.value.do)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("{'x': [1, 2], 'label': 1, 'id': 7}", None),
        ("{'x': [1, 2], 'species': 1}", None),
        ("{'pixels': [1, 2], 'label': 1}", None),
        ("{'x': [1, 2]}", "a row has the columns x, and none that is known for the target"),
        ("{'x': [1, 2], 'id': 7, 'species': 1}", "and none that is known for the target"),
        ("{'a': [1, 2], 'b': 7, 'label': 1}", "a row has the columns a, b, label, and no `x`, which the model takes"),
    ],
)
def test_the_target_among_the_columns_of_a_row(load: Load, rows: str, said: str | None) -> None:
    split = load(f"def load(split): return [{rows}]")
    if said is None:
        inputs, targets = whole(split)
        assert (inputs["x"].tolist(), targets.tolist()) == ([[1, 2]], [1])
    else:
        assert said in refusal(split)


# What goes wrong on the way


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("iter([([1, 2], 0)] * 3)", None),
        ("Unsaid()", None),
        ("Longer(2)", "has a length of 2, and gave more examples"),
        ("Longer(4)", "has a length of 4, and gave 3 examples"),
        ("Old(IndexError)", None),
        ("Old(StopIteration)", None),
    ],
)
def test_a_length_that_lies_is_told(load: Load, code: str, said: str | None) -> None:
    split = load(f"""
    three = [([1., 2.], 0)] * 3
    class Longer:
        def __init__(self, count): self.count = count
        def __len__(self): return self.count
        def __iter__(self): return iter(three)
    class Unsaid:  # as a ChainDataset of torch, or its streams with a filter
        def __len__(self): raise TypeError("has no length")
        def __iter__(self): return iter(three)
    class Old:  # of sequences, which either error ends
        def __init__(self, end): self.end = end
        def __getitem__(self, i):
            if i >= 3: raise self.end
            return three[i]
    def load(split): return {code}
    """)
    if said is None:
        assert len(whole(split)[1]) == 3
    else:
        told = refusal(split)
        assert told.startswith("data.load('train'): ")
        assert said in told


@pytest.mark.parametrize(
    ("length", "said"),
    [("", "and there is an example 5"), ("def __len__(self): return 9", "it has a length of 9")],
    ids=["old protocol", "length"],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_an_index_error_within_an_example_is_not_the_end(load: Load, length: str, said: str, workers: int) -> None:
    code = f"""
    names = ["a", "b"]
    def label(i): return names[2 if i == 4 else 1] == "a"
    class Labelled:
        {length or "pass"}
        def __getitem__(self, i):
            if i >= 9: raise IndexError(i)
            return [1., 2.], int(label(i))
    def load(split): return Labelled()
    """
    told = refusal(load(code, workers))
    assert re.match(r"streaming_\d+\.py:5: ", told)
    assert f"[4]` raised IndexError: list index out of range{',' if not length else ';'} {said}" in told
    assert len(whole(load(code.replace("2 if i == 4 else ", ""), workers))[1]) == 9


ENDLESS = """
def load(split):
    def forever():
        while True:
            yield [1., 2.], 0
    return forever()
"""


def test_a_stream_without_an_end_is_told_wherever_it_is_drained(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "ENDLESS", 50)
    split = load(ENDLESS)
    for drained in (
        split.length,
        lambda: split.draw(4, 0),
        lambda: list(split.batches(8)),
        lambda: list(split.source.shuffled(8, (0, 1), None)),
        lambda: list(split.read(8)),
    ):
        with pytest.raises(UsageError, match=r"data.load\('train'\): gave 50 examples, and goes on") as refused:
            drained()
        assert "data: {examples:" in str(refused.value.do)
    sampler = """
    import itertools
    from torch.utils.data import DataLoader
    def load(split): return DataLoader([([1., 2.], 0)] * 3, sampler=itertools.cycle(range(3)))
    """
    with pytest.raises(UsageError, match="a sampler that chose 53 examples"):
        load(sampler)
    # as many are as many as there may be
    assert len(whole(load(ENDLESS.replace("while True", "for _ in range(50)")))[1]) == 50


@pytest.mark.parametrize("code", [BY_NUMBER, AS_IT_COMES, ENDLESS, "def load(split): return TEN, np.arange(10) % 2"])
def test_a_split_has_as_many_examples_as_are_declared(load: Load, code: str) -> None:
    split = load("TEN = np.ones((10, 2), np.float32)\n" + dedent(code), most=7)
    assert len(whole(split)[1]) == split.count == split.length() == 7
    assert sum(len(batch) for batch in split.epoch(2, 0, 1)) == 6, "one is left over"
    assert len(whole(split.draw(99, 0))[1]) == 7


def test_a_stream_that_gives_less_the_second_time_is_told(load: Load) -> None:
    split = load("left = [3, 2]\ndef load(split): return iter([([1., 2.], 0)] * left.pop(0))")
    assert split.length() == 3
    assert "gave 2 examples, and 3 the time before" in refusal(split)


def test_a_stream_that_does_not_begin_is_told(load: Load) -> None:
    split = load("""
    class Fails:
        def __iter__(self): raise ConnectionError("nobody there")
    def load(split): return Fails()
    """)
    assert "raised ConnectionError: nobody there" in refusal(split)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stream", [True, False])
def test_nan_is_told_by_the_number_of_the_example(load: Load, workers: int, stream: bool) -> None:
    made = "iter(found)" if stream else "found"
    split = load(
        f"def load(split):\n  found = [([i, np.nan if i == 7 else 1.], 0) for i in range(9)]\n  return {made}", workers
    )
    told = refusal(split)
    assert "example 7 of `x` holds NaN" in told
    with pytest.raises(UsageError, match="example 7 of `x`"):
        list(split.epoch(2, 0, 1))


def test_a_worker_that_dies_is_told_with_what_it_read(load: Load) -> None:
    split = load(
        """
    import os, signal
    class Dies:
        def __len__(self): return 8
        def __getitem__(self, i):
            if i == 5: os.kill(os.getpid(), signal.SIGKILL)
            return [1., 2.], 0
    def load(split): return Dies()
    """,
        workers=2,
    )
    told = refusal(split)
    assert told.startswith("data.load('train'): a process that reads examples 4 to 5 ended (signal SIGKILL)")
    assert "`data.workers: 0`" in told


def test_what_a_worker_raises_is_told_as_without_it(load: Load) -> None:
    code = """
    class Breaks:
        def __len__(self): return 8
        def __getitem__(self, i):
            if i == 5: raise OSError("cut short")
            return [1., 2.], 0
    def load(split): return Breaks()
    """
    for workers in (0, 2):
        told = refusal(load(code, workers))
        assert "[5]` raised OSError: cut short" in told
        assert re.match(r"streaming_\d+\.py:7: ", told)


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_that_runs_out_is_the_machines_failure(load: Load, workers: int) -> None:
    split = load(
        """
    class Large:
        def __len__(self): return 8
        def __getitem__(self, i):
            if i == 5: raise MemoryError("too large")
            return [1., 2.], 0
    def load(split): return Large()
    """,
        workers,
    )
    with pytest.raises(OutOfMemory, match=r"\[5\]` ran out of memory: too large"):
        list(split.batches(2))


def children() -> set[str]:
    """The processes that this one started and has not waited for (proc(5), `/proc/pid/stat`)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that has gone meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(stat.parent.name)
    return found


def test_no_process_is_left_when_reading_stops(load: Load) -> None:
    before = children()
    reading = load(BY_NUMBER, workers=2).batches(1)
    next(reading)
    assert len(children() - before) == 2
    reading.close()  # type: ignore[attr-defined]
    assert children() == before


def test_slices_of_a_stream_are_counted_at_its_end(tmp_path: Path, load: Load) -> None:
    split = load(AS_IT_COMES)
    named = Split(split.name, split.source, np.array(["a"] * 9))
    with pytest.raises(UsageError, match="named 9 examples, and the split has 10"):
        digest(named)
