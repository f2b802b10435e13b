"""The reference project: its splits, its groups, its network and its configuration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from makeweight.compress.reproducible import reproducible
from makeweight.project import reading
from makeweight.user import data

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT))
    return


def test_splits_share_no_image_and_every_digit_has_its_share() -> None:
    from sklearn.datasets import load_digits

    from examples.digits.data import load

    pixels, numbers = load_digits(return_X_y=True)
    everything = {(image / 16).astype(np.float32).tobytes(): each for image, each in zip(pixels, numbers, strict=True)}
    seen: set[bytes] = set()
    for split, size in {"train": 997, "validation": 300, "test": 500}.items():
        images, digits = load(split)
        assert (images.shape, images.dtype, digits.dtype) == ((size, 1, 8, 8), np.float32, np.int64)
        assert (images.min(), images.max()) == (0, 1)
        shares = np.bincount(digits, minlength=10) / size
        np.testing.assert_allclose(shares, 0.1, atol=0.006)
        found = {image.tobytes() for image in images}
        assert not seen & found
        assert [everything[image.tobytes()] for image in images] == digits.tolist()
        seen |= found
        again, _ = load(split)
        np.testing.assert_array_equal(images, again)
    assert seen == set(everything)
    assert len(seen) == 1797


def test_groups_are_by_ink() -> None:
    from examples.digits.data import HEAVY, LIGHT, load, slices

    for split in ("train", "validation", "test"):
        ink, names = load(split)[0].mean((1, 2, 3)), np.array(slices(split))
        assert set(names) == {LIGHT, HEAVY}
        assert ink[names == LIGHT].max() < ink[names == HEAVY].min()
        assert 0.4 < (names == HEAVY).mean() < 0.6


def test_loading_needs_no_torch() -> None:
    code = (
        "import sys; from examples.digits.data import load, slices\n"
        "load('test'); slices('test'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_configuration_holds_together() -> None:
    project = reading.load(ROOT)
    assert list(project.variants) == ["fp16", "int8", "slim"]
    assert (project.ship, project.prefer) == ("best", "latency")
    dataset = data.load(project.declared, "test")
    assert dataset.count == 500
    assert dataset.slices is not None
    named = {rule.slice for rule in project.rules if rule.slice}
    assert named == set(np.unique(dataset.slices))
    assert data.calibration(project.declared).count == 256


def test_the_network_is_as_its_description_says() -> None:
    import torch

    from examples.digits.model import build

    network = build().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 593_354
    with torch.no_grad():
        assert network(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_training_learns_is_the_same_every_time_and_leaves_no_half_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process and in another, on a tenth of the images; `make demo` is tried with all of them."""
    from examples.digits import train

    here, there = (tmp_path / name / "baseline.pt" for name in ("here", "there"))
    plain = train.load
    monkeypatch.setattr(train, "load", lambda split: [each[:100] for each in plain(split)])
    monkeypatch.setattr(sys, "argv", ["train", "--epochs", "1", "--out", str(here)])
    with reproducible(1):  # what it sets in torch is put back
        train.main()
    code = (
        "from examples.digits import train; plain = train.load\n"
        "train.load = lambda split: [each[:100] for each in plain(split)]; train.main()"
    )
    command = [sys.executable, "-c", code, "--epochs", "1", "--out", str(there)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for said in (capsys.readouterr().out, done.stdout):
        assert said.startswith("epoch  1 of 1  loss ")
    for path in (here, there):
        assert [file.name for file in path.parent.iterdir()] == ["baseline.pt"]
    assert here.read_bytes() == there.read_bytes()
