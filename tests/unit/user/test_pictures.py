"""Pictures without code: their numbers are those of the pixels, their targets those of folders or lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from makeweight.project.reading import understand
from makeweight.user import data
from makeweight.user import pictures as user_pictures
from makeweight.user.split import Split
from makeweight_base.errors import ConfigError, UsageError
from split_values import digest, whole

CONFIG = """\
model: {{build: 'net:build', weights: w.pt, inputs: {{image: [N, 3, 4, 6]}}}}
data: {{images: {{{images}}}, workers: {workers}}}
task: {task}
variants: {{half: {{steps: [float16]}}}}
budget: {{size: {{max: 1 MB}}}}
"""

Load = Callable[..., Split]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(
        images: str = "train: train, test: test, size: [4, 6]",
        split: str = "test",
        task: str = "classification",
        workers: int = 0,
    ) -> Split:
        text = CONFIG.format(images=images, task=task, workers=workers)
        return data.load(understand(text, "makeweight.yaml", tmp_path).declared, split)

    return make


def picture(path: Path, height: int = 4, width: int = 6, value: int | None = None) -> np.ndarray:
    """A picture of noise, or of one grey, that is stored without loss."""
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3)).astype(np.uint8)
    if value is not None:
        pixels[:] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def refusal(load: Callable[[], Split]) -> str:
    with pytest.raises(UsageError) as refused:
        digest(load())
    return str(refused.value)


def test_folders_are_classes_in_the_order_of_their_names_over_all_splits(load: Load, tmp_path: Path) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "train/owl/1.png", "test/owl/deep/er.PNG", "test/cat/2.png"):
        picture(tmp_path / name)
    (tmp_path / "test" / "owl" / "notes.txt").write_text("no picture")
    picture(tmp_path / "test/owl/.ipynb_checkpoints/er-checkpoint.png")
    (tmp_path / "test/cat/._2.png").write_bytes(b"left by macOS")
    assert whole(load())[1].tolist() == [0, 2], "cat and owl: the dog that is only trained on is class 1"
    assert whole(load(split="train"))[1].tolist() == [0, 1, 2]
    named = "{kind: classification, classes: [owl, dog, cat]}"
    assert whole(load(task=named))[1].tolist() == [2, 0]


@pytest.mark.parametrize("workers", [0, 2])
def test_pixels_become_numbers(load: Load, tmp_path: Path, workers: int) -> None:
    pixels = picture(tmp_path / "test/a/1.png")
    images = "test: test, size: [4, 6], mean: [0.5, 0.25, 0], std: [0.5, 0.25, 2]"
    values = whole(load(images, workers=workers))[0]["image"]
    wanted = (pixels.transpose(2, 0, 1) / 255 - np.array([0.5, 0.25, 0])[:, None, None]) / np.array([0.5, 0.25, 2])[
        :, None, None
    ]
    assert (values.shape, values.dtype) == ((1, 3, 4, 6), np.float32)
    np.testing.assert_allclose(values[0], wanted, atol=1e-6)


@pytest.mark.parametrize(("room", "read"), [(2 * 4 * 6 * 3, 2), (2 * 4 * 6 * 3 - 1, 4)], ids=["fit", "do not fit"])
def test_pictures_that_fit_in_memory_together_are_read_from_their_files_once(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, read: int
) -> None:
    for number in (1, 2):
        picture(tmp_path / f"test/a/{number}.png")
    monkeypatch.setattr(user_pictures, "_KEPT", room)
    files, as_they_are = [], user_pictures.opened
    monkeypatch.setattr(user_pictures, "opened", lambda path, root: files.append(path) or as_they_are(path, root))
    split = load("test: test, size: [4, 6]")
    first, again = whole(split)[0]["image"], whole(split)[0]["image"]
    assert len(files) == read
    assert first.tobytes() == again.tobytes()


def test_a_picture_is_scaled_to_cover_and_cut_in_the_middle(load: Load, tmp_path: Path) -> None:
    """Twice as wide as wanted, black but for the middle half: only white is left."""
    pixels = np.zeros((4, 16, 3), np.uint8)
    pixels[:, 4:12] = 255
    (tmp_path / "test/a").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "test/a/1.png")
    assert (whole(load("test: test, size: [4, 8]"))[0]["image"] == 1).all()
    assert whole(load("test: test, size: 2"))[0]["image"].shape == (1, 3, 2, 2)


@pytest.mark.parametrize("kind", ["png", "tif", "pgm"])
def test_grey_pictures_of_16_bits_keep_them_all(load: Load, tmp_path: Path, kind: str) -> None:
    """Pillow makes 255 of all that is above."""
    values = np.array([[0, 255, 256], [4095, 65534, 65535]], np.uint16)
    (tmp_path / "test/a").mkdir(parents=True)
    Image.frombytes("I;16", (3, 2), values.astype("<u2").tobytes()).save(tmp_path / f"test/a/1.{kind}")
    wanted = values / 65535
    for mean, channels in (("[0]", 1), ("[0, 0, 0]", 3)):
        read = whole(load(f"test: test, size: [2, 3], mean: {mean}, std: [1]"))[0]["image"]
        np.testing.assert_allclose(read, np.broadcast_to(wanted, (1, channels, 2, 3)), atol=1e-6)


def test_pictures_whose_black_and_white_nothing_tells_are_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "test/a").mkdir(parents=True)
    Image.fromarray(np.ones((4, 6), np.float32)).save(tmp_path / "test/a/1.tif")
    told = refusal(load)
    assert told.startswith("test/a/1.tif: cannot be read as a picture: its values are of 32 bits")


def test_grey_pictures_have_one_channel(load: Load, tmp_path: Path) -> None:
    picture(tmp_path / "test/a/1.png", value=51)
    values = whole(load("test: test, size: 4, mean: [0], std: [2]"))[0]["image"]
    np.testing.assert_allclose(values, np.full((1, 1, 4, 4), 0.1), atol=1e-6)


@pytest.mark.parametrize(
    ("lines", "task", "targets"),
    [
        ("file,target\na.png,1\nsub/b.png,0\n", "classification", [1, 0]),
        ("target,file\ndog,a.png\ncat,sub/b.png\n", "{kind: classification, classes: [cat, dog]}", [1, 0]),
        ("file,target\na.png,1.5\nsub/b.png,-2\n", "regression", [1.5, -2]),
        ("\ufefffile,x,y\na.png,1,2\nsub/b.png,3,4\n", "regression", [[1, 2], [3, 4]]),
    ],
    ids=["indices", "names", "a_number", "several_numbers"],
)
def test_a_table_of_files_and_targets(load: Load, tmp_path: Path, lines: str, task: str, targets: list[object]) -> None:
    picture(tmp_path / "some/a.png", value=255)
    picture(tmp_path / "some/sub/b.png", value=0)
    (tmp_path / "some/test.csv").write_text(lines, encoding="utf-8")
    inputs, found = whole(load("test: some/test.csv, size: 4", task=task))
    assert found.tolist() == targets
    assert inputs["image"].mean((1, 2, 3)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("file,target\na.png,0\ngone.png,1\n", "test.csv:3: there is no picture `gone.png`"),
        ("file,target\n,1\n", "test.csv:2: there is no picture ``"),
        ("file,target\na.png,cat\n", "test.csv:2: `target` is `cat`, which is no number"),
        ("file,target\na.png\n", "test.csv:2: `target` is ``, which is no number"),
        ("name,target\na.png,0\n", "test.csv:1: the first line names the columns name, target, and not file"),
        ("", "test.csv:1: the first line names the columns none"),
        ("file,target\n", "test.csv: holds no pictures"),
    ],
)
def test_a_table_that_is_wrong_is_told_with_its_line(load: Load, tmp_path: Path, lines: str, said: str) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "test.csv").write_text(lines)
    assert refusal(lambda: load("test: test.csv, size: 4")).startswith(said)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_picture_is_named(load: Load, tmp_path: Path, workers: int) -> None:
    picture(tmp_path / "test/a/1.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    broken = tmp_path / "test/a/2.jpg"
    Image.fromarray(noise).save(broken)
    content = broken.read_bytes()
    for cut in (content[: len(content) // 2], b"", b"no picture"):
        broken.write_bytes(cut)
        assert refusal(lambda: load("test: test, size: 4", workers=workers)).startswith(
            "test/a/2.jpg: cannot be read as a picture"
        )


def test_places_that_are_not_there_are_told(load: Load, tmp_path: Path) -> None:
    assert refusal(load).startswith("test: no such folder or file")
    (tmp_path / "test.dvc").touch()
    assert "Run `dvc pull test.dvc`" in refusal(load)
    (tmp_path / "test").mkdir()
    assert refusal(load).startswith("test: holds no pictures")
    assert "there is no `validation` split: data.images has train, test" in refusal(lambda: load(split="validation"))
    picture(tmp_path / "test/fox/1.png")
    named = "{kind: classification, classes: [cat, dog]}"
    assert "test: the folder `fox` is no class: they are cat, dog" in refusal(lambda: load(task=named))


def test_folders_that_are_numbers_need_an_order(load: Load, tmp_path: Path) -> None:
    for number in (1, 2, 10):
        picture(tmp_path / f"test/{number}/1.png")
    assert "whether class 10 comes before class 2" in refusal(load)
    named = "{kind: classification, classes: ['1', '2', '10']}"
    assert whole(load(task=named))[1].tolist() == [0, 2, 1], "files in the order of the folders' names"


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ("test: test, size: 4, mean: [0, 0]", "`mean` and `std` have 3 numbers, red, green and blue, or 1"),
        ("test: test, size: 4, std: [0, 1, 1]", "greater than 0"),
        ("test: test, size: 0", "greater than or equal to 1"),
        ("test: test", "missing, and required"),
        ("train: train, size: 4", "missing, and required"),
    ],
)
def test_settings_that_are_wrong_are_told(load: Load, images: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"makeweight\.yaml:2: data\.images") as refused:
        load(images)
    assert said in str(refused.value)
