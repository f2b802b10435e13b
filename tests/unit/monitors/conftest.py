"""A proxy that the environment names and nobody can reach: what is on this machine is asked without it."""

import pytest


@pytest.fixture
def proxy_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
