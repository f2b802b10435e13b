"""What shipped, pushed to Debian's docker-registry and pulled from there by the digest that was printed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import requests

from examples.monitoring import package
from lacking import lacking
from makeweight.cli import main
from makeweight.shipping.oci import credentials
from makeweight_base.errors import EnvironmentFailed, Exit
from makeweight_monitors import program
from unit.shipping.judged_project import judge, make

BUILD = Path(__file__).resolve().parents[3] / "build" / "docker-registry"
CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: models, path: {folder}/htpasswd}}}}
"""
USER, PASSWORD = "robot", "four-words-of-a-robot"
HASHED = "$2b$04$yo2J.18tOkbfJWYxRwZJaORWNGc76VwBOO3gSr35sGcyUDxYo/ZCa"
"""The password by bcrypt, which is all that this registry reads."""


@pytest.fixture(scope="module")
def command() -> str:
    if (found := shutil.which("docker-registry")) is not None:
        return found
    try:
        return str(package.unpacked(BUILD, "usr/bin/docker-registry", "docker-registry"))
    except EnvironmentFailed as error:
        lacking(str(error))


def test_what_is_pushed_is_pulled_by_its_digest(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nobody"))
    make(tmp_path, b"first")
    judge(tmp_path)
    main(["ship"])
    (tmp_path / "shipped/empty").touch()
    port = program.free_port()
    (tmp_path / "config.yml").write_text(CONFIG.format(folder=tmp_path, port=port))
    (tmp_path / "htpasswd").write_text(f"{USER}:{HASHED}\n")
    asked = ["ship", "--to", f"oci://127.0.0.1:{port}/models/net:v1", "--json"]
    run = [command, "serve", str(tmp_path / "config.yml")]
    with program.running("docker-registry", run, f"http://127.0.0.1:{port}/", tmp_path / "log"):
        assert main(asked) == Exit.ENVIRONMENT
        monkeypatch.setenv(credentials.USER, USER)
        monkeypatch.setenv(credentials.PASSWORD, "wrong")
        assert main(asked) == Exit.ENVIRONMENT
        said = capsys.readouterr().err
        assert said.count("UNAUTHORIZED") == 2
        assert f"set {credentials.USER} and {credentials.PASSWORD}" in said
        monkeypatch.setenv(credentials.PASSWORD, PASSWORD)
        assert main(asked) == Exit.PASS
        first = json.loads(capsys.readouterr().out)
        assert main(asked) == Exit.PASS
        again = json.loads(capsys.readouterr().out)
        files = {path.relative_to("shipped").as_posix(): path for path in Path("shipped").rglob("*") if path.is_file()}
        assert (first["sent"], again["sent"], again["to"]) == (len(files), 0, first["to"])
        found = re.fullmatch(rf"oci://127\.0\.0\.1:{port}/models/net@sha256:([0-9a-f]{{64}})", first["to"])
        assert found is not None
        with requests.Session() as client:
            client.auth = USER, PASSWORD
            at = f"http://127.0.0.1:{port}/v2/models/net"
            typed = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
            manifest = client.get(f"{at}/manifests/sha256:{found[1]}", headers=typed, timeout=30)
            assert hashlib.sha256(manifest.content).hexdigest() == found[1]
            assert client.get(f"{at}/manifests/v1", headers=typed, timeout=30).content == manifest.content
            pulled = {
                layer["annotations"]["org.opencontainers.image.title"]: client.get(
                    f"{at}/blobs/{layer['digest']}", timeout=30
                ).content
                for layer in manifest.json()["layers"]
            }
    assert pulled == {name: path.read_bytes() for name, path in files.items()}
