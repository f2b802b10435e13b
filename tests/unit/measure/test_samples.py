"""What the probe is fed with: stored as the model takes it, drawn with the seed, made up where there is nothing."""

from pathlib import Path

import numpy as np
import pytest

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.measure import samples
from makeweight.measure.samples import COUNT
from makeweight.user.split import Split
from makeweight_probe.inputs import read
from model_values import invented_model
from split_values import split_of


def dataset(count: int) -> Split:
    return split_of("test", {"x": np.arange(2.0 * count).reshape(count, 2)}, np.zeros(count, int))


@pytest.mark.parametrize(
    ("size", "examples", "stored"),
    [(None, 1000, COUNT), (1, 1000, COUNT), (None, 1, COUNT), (10, 1000, 6), (10, 3, 6), (100, 1000, 1), (100, 5, 1)],
)
def test_as_many_samples_as_fit_in_the_batches_that_the_model_takes(
    tmp_path: Path, size: int | None, examples: int, stored: int
) -> None:
    """Also from fewer examples than a batch needs: they are repeated."""
    inputs = [Port("x", (size, 2), "float32")]
    samples.write(tmp_path / "inputs.npz", inputs, dataset(examples), seed=3)
    found = read(str(tmp_path / "inputs.npz"))
    assert len(found) == stored
    assert {feeds["x"].shape for feeds in found} == {(size or 1, 2)}
    assert {feeds["x"].dtype for feeds in found} == {np.dtype(np.float32)}


def test_the_same_seed_draws_the_same_samples(tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        samples.write(tmp_path / name, [Port("x", (None, 2), "float32")], dataset(1000), seed=seed)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] != files[2], "byte for byte: the file's hash is part of the key"


def test_samples_survive_their_file_in_order(tmp_path: Path) -> None:
    """More than ten, several inputs, and one that is no array of examples at all."""
    fed = [{"x:0": np.full((1, 2), float(i)), "rate": np.array(i)} for i in range(12)]
    samples.store(tmp_path / "inputs.npz", fed)
    found = read(str(tmp_path / "inputs.npz"))
    assert [float(feeds["x:0"][0, 0]) for feeds in found] == list(range(12))
    assert [(feeds["rate"].shape, int(feeds["rate"])) for feeds in found] == [((), i) for i in range(12)]


def test_made_up_inputs_have_the_models_shapes_and_types() -> None:
    inputs = [
        Port("image", (None, 3, 8, 8), "float32"),
        Port("half", (1, 4), "float16"),
        Port("tokens", ("N", "T"), "int64"),
        Port("mask", (2, 3), "bool"),
        Port("rate", (), "int64"),
        Port("steps", (1, 5), "int8", scale=(0.5, 0)),
    ]
    made = samples.made_up(inputs, seed=1)
    again = samples.made_up(inputs, seed=1)
    for feeds, same in zip(made, again, strict=True):
        shapes = {name: (values.shape, values.dtype.name) for name, values in feeds.items()}
        assert shapes == {
            "image": ((1, 3, 8, 8), "float32"),
            "half": ((1, 4), "float16"),
            "tokens": ((1, 1), "int64"),
            "mask": ((2, 3), "bool"),
            "rate": ((), "int64"),
            "steps": ((1, 5), "float32"),
        }
        assert all(np.isfinite(values).all() for values in feeds.values())
        for name in feeds:
            np.testing.assert_array_equal(feeds[name], same[name])
    assert not np.array_equal(made[0]["image"], made[1]["image"]), "no two samples alike"


def test_samples_in_integers_of_another_scale_are_written_in_the_models_own(tmp_path: Path) -> None:
    """Where the type is the same, too: 11 is (11 - 10) / 2, in steps of a quarter from -3 on 2 - 3."""

    def bytes_by(scale: tuple[float, int]) -> Model:
        return invented_model(inputs=(Port("x", ("N",), "int8", scale=scale),))

    stored = tmp_path / "inputs.npz"
    samples.store(stored, [{"x": np.array([11], np.int8)}])
    one, other = bytes_by((0.5, 10)), bytes_by((0.25, -3))
    assert samples.in_types_of(one, one, stored, tmp_path / "own.npz") is None
    own = samples.in_types_of(other, one, stored, tmp_path / "own.npz")
    assert own is not None
    (feeds,) = read(own)
    assert (feeds["x"].dtype.name, feeds["x"].tolist()) == ("int8", [-1])
