"""What this machine is called, and that nothing stands between it and itself."""

from __future__ import annotations

import pytest
import requests

from makeweight_base.loopback import is_here, is_loopback, proxies


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("LocalHost:5000", True),
     ("127.0.0.1:1", True), ("[::1]:1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),  # noqa: S104
     ("localhost.git.test", False), ("127.0.0.1.git.test", False), ("example.org", False), ("", False), (":80", False)],
)  # fmt: skip
def test_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:9090/api", True),
        ("https://ada:x@[::1]:6443", True),
        ("http://prometheus:9090", False),
        ("http://127.0.0.1@example.org/", False),
        ("http://[::1", False),
        ("localhost:9090", False),
    ],
)
def test_addresses_of_this_machine(url: str, expected: bool) -> None:
    assert is_here(url) is expected


def test_of_what_the_environment_names_nothing_is_left_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.test:3128")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with requests.Session() as session:
        taken = {
            url: session.merge_environment_settings(url, proxies(url) or {}, None, None, None)["proxies"]
            for url in ("http://127.0.0.1:9090", "https://localhost:6443", "http://prometheus:9090")
        }
    assert not taken["http://127.0.0.1:9090"]
    assert not taken["https://localhost:6443"]
    assert taken["http://prometheus:9090"]["http"] == "http://proxy.test:3128"
