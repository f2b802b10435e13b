"""What DVC says is told, whatever bytes are in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from makeweight.starter import repository
from makeweight_base.errors import EnvironmentFailed


def test_a_refusal_with_bytes_that_are_no_text_is_told_as_far_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = "import os, sys; os.write(2, b'ERROR: caf\\xe9 is in the way\\n'); sys.exit(1)"
    monkeypatch.setattr(repository, "DVC", (sys.executable, "-S", "-c", refusing))
    with pytest.raises(EnvironmentFailed, match="caf\N{REPLACEMENT CHARACTER} is in the way"):
        repository.start_dvc(tmp_path)
