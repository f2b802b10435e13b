"""The pictures of README and docs show what makeweight writes today."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/pictures"


def test_the_pictures_show_what_is_written_today() -> None:
    spec = importlib.util.spec_from_file_location("draw", PICTURES / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    recorded = (PICTURES / "drawn.sha256").read_text().strip()
    assert draw.digest() == recorded, "they look different now: run `make demo canary-demo pictures` and look at them"


@pytest.mark.parametrize("name", ["terminal.png", "comment.png", "report.png", "rollback.png"])
def test_each_is_a_small_picture_that_is_shown(name: str) -> None:
    data = (PICTURES / name).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) < 200_000
    width, height = struct.unpack(">II", data[16:24])
    assert width >= 800
    assert height >= 200
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(f"pictures/{name}" in page.read_text(encoding="utf-8") for page in pages)
