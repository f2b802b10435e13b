"""A converter that does not load beside the runtime is told with their versions, and no torch is needed for that."""

from __future__ import annotations

import sys

import pytest

from makeweight.runtimes.litert import convert
from makeweight_base.errors import UsageError


def test_versions_that_do_not_fit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    monkeypatch.setattr(convert, "installed", {"litert-torch": "0.2", "ai-edge-litert": "9.9", "torch": "3.0"}.get)
    with pytest.raises(
        UsageError, match=r"litert-torch 0\.2 and ai-edge-litert 9\.9 and torch 3\.0 do not fit"
    ) as told:
        convert._converter()
    assert "makeweight[litert]" in str(told.value.do)
