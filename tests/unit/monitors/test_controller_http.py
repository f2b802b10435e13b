"""What is sent to the controller: who may come in, what is refused and how, and that nothing sent decides by itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_controller import ALERT, SECRET, TOKEN, Served

from controlled import LABELS
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors import metrics
from makeweight_monitors.rollback import audit, signing
from makeweight_monitors.rollback.alerts import Declared, Sent
from makeweight_monitors.rollback.audit import Head
from makeweight_monitors.rollback.running import MOST_BODY


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.running.close()


def labelled(**labels: str) -> dict[str, Any]:
    return {"labels": {**LABELS, **labels}, "status": "firing"}


@pytest.mark.parametrize("sends", [Served.prometheus_sends, Served.alertmanager_sends], ids=["itself", "alertmanager"])
def test_an_alert_brings_about_a_look_and_the_look_decides(one: Served, sends: Any) -> None:
    assert sends(one, ALERT).json() == {"looked": True, "ignored": {}}
    assert one.share == 0.05  # Prometheus knows of no such alert
    one.prometheus.asks()
    for _ in range(3):
        assert sends(one, ALERT, ALERT).status == 200
    assert (one.share, one.epoch) == (0.0, 2)


def test_one_look_serves_all_who_wait_for_it(one: Served) -> None:
    asked = time.monotonic()
    one.running.look(asked)
    one.running.look(asked)
    assert one.running.looks["seen"] == 1


IGNORED = {
    "of a model that is not declared here": labelled(model="../../etc/passwd"),
    "of another environment": labelled(environment="staging"),
    "names no file (`sha256`): give the observer its manifest": labelled(sha256=""),
    "asks for no rollback": labelled(kind="alarm"),
    "is over: that never undoes anything": {**ALERT, "status": "resolved"},
}


@pytest.mark.parametrize(("why", "alert"), IGNORED.items(), ids=IGNORED)
def test_what_is_no_reason_to_look(one: Served, why: str, alert: dict[str, Any]) -> None:
    """Whoever routes it here by hand is told; Prometheus sends everything to everybody."""
    routed = one.alertmanager_sends(alert)
    if alert.get("status") == "resolved":
        assert routed.status == 200
    else:
        assert (routed.status, why in routed.json()["error"]) == (422, True)
        assert (one.prometheus_sends(alert).status, one.prometheus_sends(alert).json()["ignored"]) == (200, {why: 1})
    assert one.running.looks["seen"] == 0
    assert one.alertmanager_sends(alert, ALERT).json() == {"looked": True, "ignored": {why: 1}}


@pytest.mark.parametrize(("scope", "why"), [("", ""), ("staging", "of another environment")], ids=["untold", "told"])
def test_what_prometheus_adds_as_it_sends_an_alert_is_no_other_environment(scope: str, why: str) -> None:
    """`external_labels: {environment: prod}`, which the alerts that it is asked for do not bear."""
    declared = Declared("digits", {"environment": scope})
    assert declared.refused(Sent(LABELS | {"environment": "prod"})) == why


def test_an_alert_of_a_file_that_never_was_on_trial_does_nothing_and_is_told(one: Served) -> None:
    """By who routes it here; of a canary that was rolled back they go on to come for days."""
    stale = labelled(sha256="b" * 64)
    one.prometheus.asks(sha256="b" * 64)
    routed = one.alertmanager_sends(stale)
    assert (routed.status, "never was on trial" in routed.json()["error"]) == (422, True)
    assert one.lines("refused") == [routed.json()["error"]]
    assert one.running.requests["alertmanager", "unknown"] == 1
    assert one.prometheus_sends(stale).status == one.alertmanager_sends(stale, ALERT).status == 200
    assert (one.share, one.epoch) == (0.05, 1)
    one.prometheus.asks()
    assert one.alertmanager_sends(ALERT).status == one.alertmanager_sends(ALERT).status == 200
    assert (one.share, one.stages) == (0.0, ["rolled_back"])


BAD = {
    "no token": ("/api/v2/alerts", [ALERT], {}, 401),
    "another token": ("/v1/alertmanager", {}, {"authorization": "Bearer open"}, 401),
    "a token as an order": ("/v1/orders", {"order": "rollback", "who": "A", "reason": "b"}, TOKEN, 401),
    "no JSON": ("/api/v2/alerts", b"{", TOKEN, 400),
    "not UTF-8": ("/v1/alertmanager", b"\xff\xfe", TOKEN, 400),
    "brackets without end": ("/v1/alertmanager", b"[" * 200_000, TOKEN, 400),
    "an older webhook": ("/v1/alertmanager", {"version": "3", "alerts": []}, TOKEN, 422),
    "no list": ("/api/v2/alerts", {"alerts": []}, TOKEN, 422),
    "labels that are no texts": ("/api/v2/alerts", [{"labels": {"kind": 1}}], TOKEN, 422),
    "an alert that is none": ("/v1/alertmanager", {"version": "4", "alerts": [7]}, TOKEN, 422),
    "another status": ("/v1/alertmanager", {"version": "4", "alerts": [{"labels": {}, "status": "x"}]}, TOKEN, 422),
    "too large": ("/api/v2/alerts", b" " * (MOST_BODY + 1), TOKEN, 413),
}


@pytest.mark.parametrize(("path", "body", "headers", "status"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_with_a_line_of_the_audit_log_and_does_nothing(
    one: Served, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    one.prometheus.asks()
    answer = one.ask("POST", path, body, headers)
    assert (answer.status, one.share) == (status, 0.05)
    assert one.lines("refused") == [answer.json()["error"]]
    one.ask("POST", path, body, headers)
    assert len(one.lines("refused")) == 1  # once a minute: no stranger fills the disk


def test_transient_faults_are_answered_so_that_the_sender_tries_again(one: Served, monkeypatch: Any) -> None:
    one.prometheus.down = "no connection"
    answer = one.prometheus_sends(ALERT)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "Prometheus does not answer" in answer.json()["error"]
    one.prometheus.down = ""

    def full(*_: object) -> None:
        raise EnvironmentFailed("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(audit, "append", full)
        one.prometheus.asks()
        assert (one.prometheus_sends(ALERT).status, one.order("hold").status) == (503, 503)
        assert one.ask("GET", "/readyz").status == 503
        assert one.ask("POST", "/api/v2/alerts", b"{").status == 400
    assert one.prometheus_sends(ALERT).status == 200
    assert one.share == 0.0


def test_a_signed_order_counts_once(one: Served) -> None:
    body = json.dumps({"order": "rollback", "who": "Ada", "reason": "odd"}).encode()
    headers = signing.headers(SECRET, "POST", "/v1/orders", body)
    assert "gets no traffic any more" in one.ask("POST", "/v1/orders", body, headers).json()["sentence"]
    again = one.ask("POST", "/v1/orders", body, headers)
    assert (again.status, again.json()["error"], one.epoch) == (401, "this very order came before", 2)


def test_orders_that_are_none(one: Served) -> None:
    assert [one.order(order).status for order in ("promote", None, {})] == [422] * 3
    assert [one.order("hold", **said).status for said in ({"who": " "}, {"reason": 1})] == [422] * 2
    assert one.journal.hold() is None


def test_a_signature_is_as_openssl_makes_it() -> None:
    """RFC 2104, written out: H(K xor opad, H(K xor ipad, text))."""
    told = signing.headers(SECRET, "POST", "/v1/orders", b"{}", now=1000.4)
    text = f"1000\n{told[signing.NONCE]}\nPOST\n/v1/orders\n{{}}".encode()
    key = SECRET.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + text).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()
    assert (told[signing.TIMESTAMP], told[signing.SIGNATURE]) == ("1000", f"v1={outer}")


FORGED: dict[str, tuple[dict[str, str], str]] = {
    "another time": ({signing.TIMESTAMP: "1001"}, "its signature is another"),
    "another nonce": ({signing.NONCE: "0" * 32}, "its signature is another"),
    "no signature": ({signing.SIGNATURE: ""}, "it is not signed"),
    "letters beyond ASCII": ({signing.SIGNATURE: "v1=é\udcff"}, "its signature is another"),
    "another version": ({signing.SIGNATURE: "v2=00"}, "its signature is another"),
}


@pytest.mark.parametrize(("changed", "why"), FORGED.values(), ids=FORGED)
def test_a_forged_request_is_refused(changed: dict[str, str], why: str) -> None:
    headers = signing.headers(SECRET, "POST", "/v1/orders", b"{}", now=1000.0)
    assert signing.checked(SECRET, headers, "POST", "/v1/orders", b"{}", 1300.0) == (headers[signing.NONCE], 1300.0)
    with pytest.raises(signing.Forged, match=why):
        signing.checked(SECRET, headers | changed, "POST", "/v1/orders", b"{}", 1000.0)


def test_a_signature_is_for_one_request_and_for_now() -> None:
    headers = signing.headers(SECRET, "POST", "/v1/orders", b"{}", now=1000.0)
    for given_secret, method, path, body, now in (
        (b"another secret of some length", "POST", "/v1/orders", b"{}", 1000.0),
        (SECRET, "GET", "/v1/orders", b"{}", 1000.0),
        (SECRET, "POST", "/v1/status", b"{}", 1000.0),
        (SECRET, "POST", "/v1/orders", b"[]", 1000.0),
        (SECRET, "POST", "/v1/orders", b"{}", 1301.0),
        (SECRET, "POST", "/v1/orders", b"{}", 699.0),
    ):
        with pytest.raises(signing.Forged):
            signing.checked(given_secret, headers, method, path, body, now)
    short = "a" * 15
    told = {signing.TIMESTAMP: "1000", signing.NONCE: short}
    text = f"1000\n{short}\nGET\n/\n".encode()
    told[signing.SIGNATURE] = "v1=" + hmac.new(SECRET, text, hashlib.sha256).hexdigest()
    with pytest.raises(signing.Forged, match="nonce"):
        signing.checked(SECRET, told, "GET", "/", b"", 1000.0)


def test_secrets_come_from_files_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signing.SECRET, raising=False)
    with pytest.raises(UsageError, match="at least 16 characters"):
        signing.secret(None)
    monkeypatch.setenv(signing.SECRET, "0123456789abcdef\n")
    assert signing.secret(None) == b"0123456789abcdef"
    (tmp_path / "secret").write_text("short")
    with pytest.raises(UsageError, match="at least 16 characters"):
        signing.secret(tmp_path / "secret")
    with pytest.raises(UsageError, match="cannot be read"):
        signing.secret(tmp_path / "none")


def test_its_own_health_status_and_metrics(one: Served) -> None:
    assert one.ask("GET", "/readyz").status == 503  # it has not looked yet
    one.running.look()
    assert [one.ask("GET", path).status for path in ("/healthz", "/readyz")] == [200, 200]
    one.prometheus.time += 100
    assert "no look for 100 s" in one.ask("GET", "/readyz").body.decode()
    assert [one.ask("GET", path, headers={}).status for path in ("/metrics", "/v1/status")] == [401, 401]
    page = one.ask("GET", "/metrics").body.decode()
    assert f'attempt="1",environment="prod",model="digits",revision="r2",sha256="{LABELS["sha256"]}"' in page
    assert 'makeweight_rollback_looks_total{environment="prod",model="digits",outcome="seen"} 1.0' in page
    assert all(f"\n{metric.series}" in page for metric in metrics.CONTROLLER_CATALOGUE)
    assert 'makeweight_rollback_leads{environment="prod",model="digits"} 1.0' in page
    status = one.ask("GET", "/v1/status", headers=signing.headers(SECRET, "GET", "/v1/status", b"")).json()
    assert (status["canaries"][0]["share"], status["health"]["leads"], status["hold"]) == (0.05, True, None)
    forged = signing.headers(b"another secret of some length", "GET", "/v1/status", b"")
    assert one.ask("GET", "/v1/status", headers=forged).status == 401


def test_who_stands_by_tells_nothing_of_canaries(one: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it knows of them is of when it led: a rollback that failed then may be done by now. And it does not look."""
    one.running.look()
    assert one.order("hold").status == 200
    of_who_leads = (metrics.CONTROLLER_STAGE, metrics.CONTROLLER_HELD, metrics.CONTROLLER_LAST_LOOK)
    for leads in (True, False):
        monkeypatch.setattr(one.lease, "take", lambda leads=leads: leads)
        one.running.look()
        page = one.ask("GET", "/metrics").body.decode()
        assert [f"\n{metric.series}{{" in page for metric in of_who_leads] == [leads] * 3
        assert f"\n{metrics.CONTROLLER_LEADS.series}{{" in page
        assert one.ask("GET", "/readyz").status == 200


def test_a_journal_that_cannot_be_written_is_told_by_metrics_which_come_all_the_same(one: Served) -> None:
    one.running.look()
    one.journal.close()
    one.running.look()
    page = one.ask("GET", "/metrics").body.decode()
    assert 'makeweight_rollback_blind{environment="prod",model="digits",why="journal"} 1.0' in page
    assert 'makeweight_rollback_blind{environment="prod",model="digits",why="target"} 0.0' in page
    assert 'makeweight_rollback_looks_total{environment="prod",model="digits",outcome="failed"} 1.0' in page


def test_what_the_target_is_told_is_counted_by_what_came_of_it(one: Served) -> None:
    one.prometheus.asks()
    one.running.look()
    page = one.ask("GET", "/metrics").body.decode()
    for action, outcome, count in (("set", "done", 1), ("verify", "done", 1), ("set", "failed", 0)):
        labels = f'action="{action}",environment="prod",model="digits",outcome="{outcome}"'
        assert f"makeweight_rollback_actions_total{{{labels}}} {count}.0" in page


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ALERTS = st.fixed_dictionaries({}, optional={"labels": st.dictionaries(st.sampled_from(list(LABELS)), PLAIN),
                                             "status": st.sampled_from(["firing", "resolved", 7])})  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=40),
    st.builds(json.dumps, PLAIN | st.lists(ALERTS | PLAIN, max_size=3)).map(str.encode),
    st.builds(lambda alerts: json.dumps({"version": "4", "alerts": alerts}).encode(), st.lists(ALERTS, max_size=3)),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/v1/alertmanager", "/api/v2/alerts", "/v1/orders"]),
    body=BODIES,
    headers=st.sampled_from([{}, TOKEN, {signing.SIGNATURE: "v1=0"}]),
)
def test_whatever_is_sent_there_is_no_fault_and_no_effect(
    one: Served, path: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = one.ask("POST", path, body, headers)
    assert answer.status in (200, 400, 401, 413, 422)
    assert (one.epoch, one.journal.hold()) == (1, None)


def test_the_log_of_all_that_holds_together(one: Served) -> None:
    one.ask("POST", "/v1/orders", b'\x00\xff"}\n', {})
    one.order("hold", reason="line\nbreak \u2028 “quotes” \ud83d\ude00")
    one.prometheus.asks()
    one.prometheus_sends(ALERT)
    found = audit.verify(one.journal.log, one.journal.head())
    assert isinstance(found, Head)
    assert found.number == len(one.journal.log.read_bytes().splitlines())
