"""How the sessions of a runtime are found by its name."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from makeweight_probe import sessions
from makeweight_probe.sessions import NoSession, onnxruntime

TINY = "def open_session(path, threads): ...\ndef warm_import(): ...\ndef version(): return '0.1'\n"


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """A package on the path with an entry point, as pip leaves one behind."""
    (folder / f"{name}_sessions.py").write_text(code)
    about = folder / f"{name}-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(f"[makeweight.sessions]\n{name} = {name}_sessions\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, f"{name}_sessions", raising=False)


def test_one_is_built_in() -> None:
    assert sessions.find("onnxruntime") is onnxruntime
    assert sessions.versions()["onnxruntime"] == onnxruntime.version()


def test_it_may_come_in_a_distribution_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "onnxruntime-gpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.99"

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"onnxruntime": ["onnxruntime-gpu"]})
    assert onnxruntime.version() == "1.99"
    monkeypatch.setattr(importlib.metadata, "packages_distributions", dict)
    with pytest.raises(ImportError):
        onnxruntime.version()


def test_a_built_in_one_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise ImportError("no onnxruntime")

    monkeypatch.setattr(onnxruntime, "version", gone)
    monkeypatch.setattr(onnxruntime, "MODULE", "no_onnxruntime")
    with pytest.raises(NoSession, match=r"`pip install 'makeweight\[onnx\]'` there"):
        sessions.find("onnxruntime")


def test_a_third_party_offers_one_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, "tiny", TINY)
    assert sessions.find("tiny").version() == "0.1"
    assert sessions.versions()["tiny"] == "0.1"


def test_an_unknown_runtime_is_named_with_those_that_are_known() -> None:
    with pytest.raises(NoSession, match=r"no runtime `onyx` here; it knows .*onnxruntime.*makeweight\.sessions"):
        sessions.find("onyx")


@pytest.mark.parametrize(
    "code",
    ["import nothing_of_that_name", TINY + "def version(): raise ImportError('no engine')"],
    ids=["on import", "when asked"],
)
def test_a_runtime_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    offer(tmp_path, monkeypatch, "absent", code)
    told = r"the runtime `absent` is not installed here: .*`pip install absent` there"
    with pytest.raises(NoSession, match=told):
        sessions.find("absent")
    assert "absent" not in sessions.versions()
