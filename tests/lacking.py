"""What tests run beside, and this machine does not have."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(why: str) -> NoReturn:
    """Skip the test; in CI it fails: there a part of the tests that silently does not run would look like one that
    passes.
    """
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
