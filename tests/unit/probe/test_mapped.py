"""What of a model's files is resident because it is mapped, as the kernel lists mappings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from makeweight_probe import memory


@pytest.mark.parametrize(
    "name",
    ["model.onnx", "my model (1).onnx", "mod\x0bel\u2028.onnx", os.fsdecode(b"mod\xe8le.onnx")],
    ids=["plain", "spaces", "ends-of-lines", "no-text"],
)
def test_mappings_of_a_file_are_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Of two mappings of it, 12 kB and 4 kB; another file's and the heap's do not count."""
    file, other = tmp_path / name, tmp_path / "other"
    listed = (("7f00-7f10", file, 12), ("7f20-7f30", other, 900), ("7f40-7f50", file, 4), ("7f60-7f70", None, 80))
    with (tmp_path / "smaps").open("wb") as smaps:
        for place, path, kilobytes in listed:
            head = f"{place} r--p 00000000 fe:00 42 " if path else f"{place} rw-p 00000000 00:00 0"
            smaps.write(head.encode() + (os.fsencode(path) if path else b"") + b"\n")
            smaps.write(f"Size: 64 kB\nRss: {kilobytes} kB\nVmFlags: rd mr\n".encode())
    monkeypatch.setattr(memory, "_MAPPINGS", tmp_path / "smaps")
    assert memory._mapped([str(file)]) == 16 * 1024
    monkeypatch.setattr(memory, "_MAPPINGS", tmp_path / "missing")
    assert memory._mapped([str(file)]) is None
