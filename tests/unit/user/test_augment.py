"""What is done to training batches alone: cropping, flipping, and what a callable of the user's may do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from makeweight.project.reading import understand
from makeweight.user import augment
from makeweight.user.split import Batch, Change
from makeweight_base.errors import ConfigError, UsageError
from split_values import split_of

CONFIG = """\
model: {{build: 'net:build', weights: w.pt, inputs: {{image: [N, 1, 8, 16]}}}}
data: {{{data}, augment: {augment}}}
variants: {{half: {{steps: [float16]}}}}
budget: {{size: {{max: 1 MB}}}}
"""
PICTURES = "images: {test: test, size: [8, 16]}"
IMAGES = np.arange(64 * 128, dtype=np.float32).reshape(64, 1, 8, 16)

Make = Callable[..., Change]


@pytest.fixture
def change(tmp_path: Path) -> Iterator[Make]:
    before = sys.path[:]

    def make(wanted: str, code: str = "", data: str = PICTURES) -> Change:
        (tmp_path / f"augmenting_{len(code)}.py").write_text("import numpy as np\n" + dedent(code))
        text = CONFIG.format(augment=wanted.replace("own:", f"augmenting_{len(code)}:"), data=data)
        found = augment.change_of(understand(text, "makeweight.yaml", tmp_path).declared)
        assert found is not None
        return found

    yield make
    sys.path[:] = before


def batch() -> Batch:
    return Batch(np.arange(64), {"image": IMAGES}, np.arange(64))


def test_half_of_the_pictures_are_flipped(change: Make) -> None:
    found = change("[flip]")(batch(), np.random.default_rng(0)).inputs["image"]
    flipped = np.array([np.array_equal(one, other[..., ::-1]) for one, other in zip(found, IMAGES, strict=True)])
    kept = np.array([np.array_equal(one, other) for one, other in zip(found, IMAGES, strict=True)])
    assert (flipped ^ kept).all()
    assert 16 < flipped.sum() < 48  # 32, standard deviation 4


def test_pictures_are_moved_by_up_to_an_eighth(change: Make) -> None:
    found = change("[crop]")(batch(), np.random.default_rng(0)).inputs["image"]
    assert found.shape == IMAGES.shape
    # a pixel's value tells its place: by where the inner ones come from, how far each picture was moved
    corner = found[:, 0, 2, 3] - IMAGES[:, 0, 0, 0]
    down, across = np.divmod(corner.astype(int) - (2 * 16 + 3) + 18, 16)
    assert set(down) == {0, 1, 2}
    assert set(across) == {0, 1, 2, 3, 4}


def test_the_seed_and_the_epoch_decide_and_only_training_sees_it(change: Make) -> None:
    split, both = split_of("train", {"image": IMAGES}, np.arange(64)), change("[crop, flip]")
    first, again, second = (
        np.concatenate([read.inputs["image"] for read in split.epoch(10, 0, epoch, both)]) for epoch in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.concatenate([read.inputs["image"] for read in split.batches(10)]), IMAGES)


def test_a_callable_changes_inputs_and_targets(change: Make) -> None:
    code = """
    def twice(inputs, targets, rng):
        noise = rng.random()
        return {"image": np.concatenate([inputs["image"], inputs["image"] + noise])}, np.tile(targets, 2)
    """
    found = change("'own:twice'", code)(batch(), np.random.default_rng(7))
    noise = np.random.default_rng(7).random()
    np.testing.assert_allclose(found.inputs["image"], np.concatenate([IMAGES, IMAGES + noise]), rtol=1e-6)
    assert (found.targets.tolist(), len(found)) == (list(range(64)) * 2, 128)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return inputs", "gave dict"),
        ("return inputs, targets, rng", "gave tuple"),
        ("return {}, targets", "gave the inputs none"),
        ("return {'image': inputs['image'][:3]}, targets", "gave arrays of 3, 64 examples"),
        ("return {'image': inputs['image'][:0]}, targets[:0]", "gave arrays of 0 examples"),
        ("return {'image': 'x'}, targets", "input `image` holds <U1, not numbers"),
        ("return 1 / 0", "raised ZeroDivisionError"),
    ],
)
def test_what_a_callable_does_wrong_is_told(change: Make, body: str, said: str) -> None:
    code = f"def wrong(inputs, targets, rng):\n    {body}\n"
    with pytest.raises(UsageError, match="augmenting_") as refused:
        change("'own:wrong'", code)(batch(), np.random.default_rng(0))
    assert said in str(refused.value)


def test_cropping_and_flipping_go_with_pictures(change: Make) -> None:
    with pytest.raises(ConfigError, match="goes with `images`; give a module:callable"):
        change("[flip]", data="load: 'a:b'")
    with pytest.raises(ConfigError, match=r"data\.augment"):
        change("[blur]")


CAST = """
    def single(inputs, targets, rng):
        return inputs, targets.astype(np.float32)

    def short(inputs, targets, rng):
        return inputs, targets.astype(np.int16)[:, None]

    def mixed(inputs, targets, rng):
        whole = np.eye(64, dtype=np.float32)[targets]
        return inputs, 0.75 * whole + 0.25 * whole[::-1]

    def of_second(inputs, targets, rng):
        return inputs, 0.75 * (targets % 2) + 0.25 * (targets[::-1] % 2)

    def before(inputs, targets, rng):
        return inputs, targets - 1
"""


def test_class_indices_come_as_they_are_read_and_shares_of_classes_stay(change: Make) -> None:
    for name in ("single", "short"):
        found = change(f"'own:{name}'", CAST)(batch(), np.random.default_rng(0)).targets
        assert found is not None
        assert found.dtype == np.int64
        assert found.tolist() == list(range(64))
    found = change("'own:mixed'", CAST)(batch(), np.random.default_rng(0)).targets
    assert found is not None
    assert (found[0, 0], found[0, 63], found.shape) == (0.75, 0.25, (64, 64))
    found = change("'own:of_second'", CAST)(batch(), np.random.default_rng(0)).targets
    assert found is not None
    assert found.tolist() == [0.25, 0.75] * 32
    with pytest.raises(UsageError, match="the target of example 0 is -1, and class indices begin at 0"):
        change("'own:before'", CAST)(batch(), np.random.default_rng(0))
