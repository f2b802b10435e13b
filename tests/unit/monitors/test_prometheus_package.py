"""Debian's Prometheus, where none is installed: fetched once, and told where it cannot be had."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.monitoring import package
from makeweight_base.errors import EnvironmentFailed


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


def test_of_several_that_want_it_at_once_one_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def unpack(folder: Path, packages: object) -> None:
        fetched.append(folder)
        time.sleep(0.2)  # long enough for the others to come by
        programs = folder / "usr" / "bin"
        programs.mkdir(parents=True)
        for name in ("prometheus", "promtool"):
            (programs / name).touch(mode=0o755)

    monkeypatch.setattr(package, "_unpack", unpack)
    folder = tmp_path / "build" / "prometheus"
    with ThreadPoolExecutor(4) as several:
        found = list(several.map(package.programs, [folder] * 4))
    assert fetched == [folder]
    assert {one.promtool for one in found} == {folder / "usr" / "bin" / "promtool"}


def test_without_apt_it_is_said_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"no apt-get(?s:.*)apt install prometheus"):
        package.programs(tmp_path / "prometheus")


def test_without_the_right_to_its_templates_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(package, "unpacked", lambda folder, program, *_: folder / program)
    monkeypatch.setattr(package, "_TEMPLATES", Path("nowhere") / tmp_path.name)
    monkeypatch.setattr(package.shutil, "copytree", refused)
    with pytest.raises(EnvironmentFailed, match=r"only root may write to(?s:.*)apt install prometheus-alertmanager"):
        package.alertmanager(tmp_path / "alertmanager")
