"""The versions that an artifact's manifest names."""

import platform

from makeweight import __version__
from makeweight.artifact.versions import versions


def test_what_is_installed_is_named_and_what_is_not_is_left_out() -> None:
    found = versions(["numpy", "no-such-package-anywhere"])
    assert found["python"] == platform.python_version()
    assert found["makeweight"] == __version__
    assert found["numpy"].count(".") >= 1
    assert "no-such-package-anywhere" not in found
