"""The controller's verbs: what they refuse before anything is served, and what people are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rules_project
from controlled import Controlled
from makeweight_monitors.cli import main
from makeweight_monitors.rollback import asking, signing

TARGET = "\ncanary: {target: {kind: pointer, path: current.json}}\n"
GIVEN = ("--prometheus", "http://127.0.0.1:1", "--port", "0")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(signing.SECRET, raising=False)
    (tmp_path / "secret").write_text("a secret of some length")
    (tmp_path / "short").write_text("short")
    return rules_project.measured(tmp_path)


REFUSED = {
    "no Prometheus": ((), "which Prometheus evaluates the rules?"),
    "a password in the address": (
        ("--prometheus", "http://me:word@localhost:9090"),
        "an address with a password in it",
    ),
    "everybody, and no token": ((*GIVEN, "--host", "::"), "--host ::: anybody who reaches this address"),
    "no target": (GIVEN, "makeweight.yaml: `canary` declares no target"),
    "a token that is not there": ((*GIVEN, "--bearer-file", "none"), "none: the token cannot be read: No such file"),
    "a short secret": ((*GIVEN, "--secret-file", "{folder}/short"), "a secret has at least 16 characters"),
    "looks that are far apart": ((*GIVEN, "--every", "1m"), "--every: a controller that looks so seldom is taken for"),
    "half of TLS": ((*GIVEN, "--tls-cert", "a.pem"), "TLS needs both `--tls-cert` and `--tls-key`"),
}


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_served(project: Path, capsys: Any, given: tuple[str, ...], said: str) -> None:
    given = tuple(one.format(folder=project) for one in given)
    assert main(["rollback", "--project", str(project), *given]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "word" not in err.replace("password", "")


def test_a_port_that_is_taken_leaves_the_journal_whole(project: Path, capsys: Any) -> None:
    import socket

    (project / "makeweight.yaml").open("a").write(TARGET)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        given = ("--prometheus", "http://127.0.0.1:1", "--port", port)
        assert main(["rollback", "--project", str(project), *given]) == 4
    assert "Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["status", "hold", "resume", "rollback"])
def test_nobody_answers(project: Path, capsys: Any, verb: str) -> None:
    asked = ["--controller", "http://127.0.0.1:1", "--secret-file", str(project / "secret")]
    assert main([verb, *([] if verb == "status" else ["--reason", "odd"]), *asked]) == 4
    assert "no answer of a controller" in capsys.readouterr().err


def test_a_certificate_that_cannot_be_shown(project: Path, capsys: Any) -> None:
    asked = ["status", "--controller", "https://127.0.0.1:1", "--secret-file", str(project / "secret")]
    assert main([*asked, "--tls-cert", "a.pem"]) == 2
    assert main([*asked, "--tls-ca", "none.pem"]) == 2
    err = capsys.readouterr().err
    assert "a certificate is shown with its key" in err
    assert "none.pem: there is no such file" in err


def test_an_order_without_a_secret(project: Path, capsys: Any) -> None:
    assert main(["hold", "--reason", "odd"]) == 2
    assert f"{signing.SECRET}: a secret has at least 16 characters" in capsys.readouterr().err


def test_an_order_by_a_user_who_has_no_name(project: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert main(["hold", "--reason", "odd", "--secret-file", str(project / "secret")]) == 2
    assert "Name yourself with `--who`" in capsys.readouterr().err


def test_the_status_for_people(project: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Controlled(project)
    one.tick()
    one.controller.order("hold", "Ada", "a demo", ("n", 9e9))
    one.prometheus.asks()
    one.tick()
    one.tick(later=11.0)
    monkeypatch.setattr(asking, "status", lambda *_: json.loads(json.dumps(one.controller.status())))
    assert main(["status", "--secret-file", str(project / "secret")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "digits: leads; looks well",
        "held by Ada: a demo",
        "r2 rolled_back at 0%: prod: digits r2 is rolled back, 11.0 s after that was decided; it stays so",
    ]
    one.prometheus.down = "no connection"
    one.tick()
    one.end()


def test_an_audit_log_with_and_without_its_journal(project: Path, capsys: Any) -> None:
    state = project / "state"
    assert main(["audit", "verify", "--state", str(state)]) == 2
    assert "no journal there" in capsys.readouterr().err
    one = Controlled(project)
    one.tick()
    one.prometheus.asks()
    one.tick()
    head = one.journal.head()
    one.end()
    for given in (["--state", str(state)], ["--log", str(state / "audit.jsonl")]):
        assert main(["audit", "verify", *given]) == 0
        assert f"{head.number} lines, all as they were written; the last hash is {head.hash}" in capsys.readouterr().out
    log = (state / "audit.jsonl").read_bytes()
    (state / "audit.jsonl").write_bytes(log[: log[:-1].rfind(b"\n") + 1])
    assert main(["audit", "verify", "--log", str(state / "audit.jsonl")]) == 0  # it alone cannot tell
    assert main(["audit", "verify", "--state", str(state)]) == 1
    assert f"audit.jsonl:{head.number}: lines are missing at the end" in capsys.readouterr().out
    assert main(["audit", "verify", "--log", str(state / "none")]) == 2
