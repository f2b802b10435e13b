"""A push to a registry: what arrives, what is not sent twice, as whom; and all that may go wrong on the way."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from makeweight.cli import main
from makeweight.shipping import shipped
from makeweight.shipping.oci import credentials, push, reference
from makeweight.shipping.oci.reference import Reference
from makeweight.shipping.oci.registry import Registry, RegistryFailed
from makeweight_base.errors import Exit, UsageError
from unit.shipping import small_registry
from unit.shipping.judged_project import CHOSEN, judge, make
from unit.shipping.small_registry import DROP, SmallRegistry

SECRET = "s3cret-of-robot"  # noqa: S105 - of a registry that lives for one test


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Docker's configuration."""
    for name in (credentials.USER, credentials.PASSWORD):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path_factory.mktemp("docker")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with small_registry.running() as running:
        yield running


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make(tmp_path, b"first")
    judge(tmp_path)
    main(["ship"])
    return tmp_path


def address(registry: SmallRegistry) -> str:
    return f"oci://{registry.url.removeprefix('http://')}/models/net:v1"


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def client(registry: SmallRegistry, waits: list[float]) -> Registry:
    named = reference.parse(address(registry))
    return Registry(named, credentials.find(named.machine), sleep=waits.append)


def pushed(registry: SmallRegistry, root: Path, waits: list[float]) -> push.Pushed:
    return push.push(shipped.read(root / "shipped"), client(registry, waits))


def test_every_file_is_a_layer_under_its_name_and_the_digest_is_the_registry_s(
    registry: SmallRegistry, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["ship", "--to", address(registry), "--json"]) == Exit.PASS
    said = told(capsys)
    content = registry.manifests["v1"]
    assert said["to"] == f"{address(registry).removesuffix(':v1')}@sha256:{hashlib.sha256(content).hexdigest()}"
    assert (said["tag"], said["sent"], said["before"]) == ("v1", 6, None)
    manifest = json.loads(content)
    assert manifest["artifactType"] == "application/vnd.makeweight.model.v1"
    assert registry.blobs[manifest["config"]["digest"]] == b"{}"
    laid = {
        layer["annotations"]["org.opencontainers.image.title"]: registry.blobs[layer["digest"]]
        for layer in manifest["layers"]
    }
    folder = root / "shipped"
    assert laid == {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert all(layer["size"] == len(registry.blobs[layer["digest"]]) for layer in manifest["layers"])


def test_what_is_there_is_not_sent_again_and_a_tag_that_moves_says_from_what(
    registry: SmallRegistry, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ship", "--to", address(registry)])
    first = json.loads((root / "shipped/manifest.json").read_text())["sha256"]
    uploads = registry.count("POST")
    capsys.readouterr()
    main(["ship", "--to", address(registry), "--json"])
    again = told(capsys)
    assert (again["sent"], again["before"], registry.count("POST")) == (0, None, uploads)
    make(root, b"second")
    judge(root)
    main(["ship"])
    capsys.readouterr()
    main(["ship", "--to", address(registry)])
    assert f"tag v1, which named {CHOSEN} ({first[:12]}) before" in capsys.readouterr().out
    registry.manifests["v1"] = b"[]"
    main(["ship", "--to", address(registry)])
    assert "which named another artifact (sha256:" in capsys.readouterr().out


def test_an_empty_file_is_sent_too(registry: SmallRegistry, root: Path) -> None:
    (root / "shipped/empty").touch()
    assert pushed(registry, root, []).sent == 7
    assert registry.blobs[f"sha256:{hashlib.sha256(b'').hexdigest()}"] == b""


@pytest.mark.parametrize("status", [DROP, 500, 429], ids=["the connection ends", "its own error", "too many"])
@pytest.mark.parametrize(
    ("method", "part"), [("PUT", "/blobs/"), ("PUT", "/manifests/"), ("POST", "/blobs/"), ("HEAD", "/blobs/")]
)
def test_what_breaks_off_is_begun_again(
    registry: SmallRegistry, root: Path, method: str, part: str, status: int
) -> None:
    registry.fails = [(method, part, status, "")] * 2
    waits: list[float] = []
    assert pushed(registry, root, waits).address.endswith(hashlib.sha256(registry.manifests["v1"]).hexdigest())
    assert waits == [1, 2]


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("3600", 60)], ids=["bearable", "an hour"])
@pytest.mark.parametrize(("method", "part"), [("GET", "/token"), ("PUT", "/blobs/")], ids=["for a token", "itself"])
def test_who_asks_to_be_left_alone_is(
    registry: SmallRegistry, root: Path, nobody_logged_in: Path, method: str, part: str, asked: str, waited: float
) -> None:
    registry.password = SECRET
    docker_login(nobody_logged_in, registry.url, auth=encoded(SECRET))
    registry.fails, registry.retry_after = [(method, part, 429, "")], asked
    waits: list[float] = []
    assert pushed(registry, root, waits).sent == 6
    assert waits == [waited]


def test_what_never_arrives_leaves_the_tag_as_it_was(registry: SmallRegistry, root: Path) -> None:
    registry.manifests["v1"] = b"before"
    full = json.dumps({"errors": [{"code": "UNKNOWN", "message": "no space left on device"}]})
    registry.fails = [("PUT", "/blobs/", 500, full)] * 5
    waits: list[float] = []
    with pytest.raises(
        RegistryFailed, match=r"answered 500 \(UNKNOWN: no space left on device\); gave up after 5"
    ) as e:
        pushed(registry, root, waits)
    assert waits == [1, 2, 4, 8]
    assert "such as a full disk. The tag is as it was." in str(e.value)
    assert registry.manifests == {"v1": b"before"}
    assert pushed(registry, root, []).before == f"another artifact (sha256:{hashlib.sha256(b'before').hexdigest()})"


REFUSED = {
    "no such repository": ("POST", 404, "NAME_UNKNOWN", "Make the repository `models/net` there first"),
    "no registry": ("POST", 404, "", "Is 127.0.0.1:"),
    "may not push": ("POST", 403, "DENIED", "They must be allowed to push to `models/net`"),
    "too large": ("PUT", 413, "", "too large for it, or for a proxy"),
    "another content": ("PUT", 400, "DIGEST_INVALID", "Did a file in shipped/ change"),
    "takes no pushes": ("POST", 405, "UNSUPPORTED", "does it take pushes?"),
}


@pytest.mark.parametrize(("method", "status", "code", "do"), REFUSED.values(), ids=REFUSED)
def test_what_it_refuses_is_told_with_what_to_do_and_not_tried_again(
    registry: SmallRegistry, root: Path, method: str, status: int, code: str, do: str
) -> None:
    body = json.dumps({"errors": [{"code": code, "message": "no"}]}) if code else "<html>"
    registry.fails = [(method, "/blobs/", status, body)]
    with pytest.raises(RegistryFailed) as caught:
        pushed(registry, root, [])
    assert caught.value.what == f"it answered {status}" + (f" ({code}: no)" if code else "")
    assert do in (caught.value.do or "")
    assert registry.manifests == {}


@pytest.mark.parametrize("place", ["http://[::1", "https://git.test:x/uploads"], ids=["brackets", "port"])
def test_a_place_to_upload_to_that_is_no_address(registry: SmallRegistry, root: Path, place: str) -> None:
    registry.uploads = place
    with pytest.raises(RegistryFailed, match="it was not told where to upload to"):
        pushed(registry, root, [])


def test_a_registry_that_names_no_place_to_upload_to(registry: SmallRegistry, root: Path) -> None:
    registry.fails = [("POST", "/uploads/", 202, "")]
    with pytest.raises(RegistryFailed, match="it was not told where to upload to"):
        pushed(registry, root, [])
    assert registry.count("PUT") == 0


def test_nobody_listens(root: Path) -> None:
    with small_registry.running() as gone:
        pass
    with pytest.raises(RegistryFailed, match=r"no connection \(Connection refused\); gave up after 5 tries"):
        pushed(gone, root, [])


def test_a_manifest_that_reads_otherwise_is_told(
    registry: SmallRegistry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Registry.manifest
    monkeypatch.setattr(Registry, "manifest", lambda self, which: (whole(self, which) or b"")[:-1] or None)
    with pytest.raises(RegistryFailed, match="reads otherwise than it was sent"):
        pushed(registry, root, [])


def test_a_tag_that_another_moved_meanwhile_is_told(
    registry: SmallRegistry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Registry.put

    def put(self: Registry, tag: str, content: bytes) -> None:
        whole(self, tag, content)
        registry.manifests[tag] = b"another's"

    monkeypatch.setattr(Registry, "put", put)
    with pytest.raises(RegistryFailed, match="the tag `v1` already names something else again"):
        pushed(registry, root, [])


def docker_login(folder: Path, host: str, **entry: str) -> None:
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))


def encoded(secret: str) -> str:
    return base64.b64encode(f"robot:{secret}".encode()).decode()


@pytest.mark.parametrize("challenge", ["basic", "bearer"])
@pytest.mark.parametrize("left_in", ["environment", "docker's file", "docker's file, as an address"])
def test_it_says_who_it_is_as_the_registry_wants_it(
    registry: SmallRegistry,
    root: Path,
    nobody_logged_in: Path,
    monkeypatch: pytest.MonkeyPatch,
    challenge: str,
    left_in: str,
) -> None:
    registry.password, registry.challenge = SECRET, challenge
    if left_in == "environment":
        monkeypatch.setenv(credentials.USER, "robot")
        monkeypatch.setenv(credentials.PASSWORD, SECRET)
        docker_login(nobody_logged_in, registry.url, auth=encoded("wrong"))
    else:
        host = registry.url.removeprefix("http://")
        key = f"https://{host}/v1/" if left_in.endswith("address") else host
        docker_login(nobody_logged_in, key, auth=encoded(SECRET))
    assert pushed(registry, root, []).sent == 6
    if challenge == "bearer":
        assert registry.forms == [{"scope": ["repository:models/net:pull,push"], "service": ["small"]}]


def test_a_token_that_has_run_out_is_asked_for_anew(
    registry: SmallRegistry, root: Path, nobody_logged_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.password = SECRET
    docker_login(nobody_logged_in, registry.url, auth=encoded(SECRET))
    whole = Registry.put

    def put(self: Registry, tag: str, content: bytes) -> None:
        registry.token += 1
        whole(self, tag, content)

    monkeypatch.setattr(Registry, "put", put)
    assert pushed(registry, root, []).sent == 6
    assert len(registry.forms) == 2


def test_an_identity_token_is_traded_in(registry: SmallRegistry, root: Path, nobody_logged_in: Path) -> None:
    registry.password = SECRET
    docker_login(nobody_logged_in, registry.url, identitytoken=SECRET)
    assert pushed(registry, root, []).sent == 6
    assert registry.forms[0]["grant_type"] == ["refresh_token"]


@pytest.mark.parametrize("challenge", ["basic", "bearer"])
@pytest.mark.parametrize("known", [True, False], ids=["wrong ones", "none"])
def test_refused_credentials_are_told_without_what_is_secret(
    registry: SmallRegistry, root: Path, nobody_logged_in: Path, challenge: str, known: bool
) -> None:
    registry.password, registry.challenge = "right", challenge
    if known:
        docker_login(nobody_logged_in, registry.url, auth=encoded(SECRET))
        registry.password = f"echoed {SECRET} and {encoded(SECRET)}"
    with pytest.raises(RegistryFailed, match="it answered 401") as caught:
        pushed(registry, root, [])
    do = f"those of {nobody_logged_in / 'config.json'}" if known else "Run `docker login 127.0.0.1:"
    assert do in (caught.value.do or "")
    whole = "".join(traceback.format_exception(caught.value)) + repr(credentials.find(registry.url[7:]))
    assert SECRET not in whole
    assert encoded(SECRET) not in whole


def test_a_registry_is_known_however_its_host_is_written(
    registry: SmallRegistry, root: Path, nobody_logged_in: Path
) -> None:
    registry.password = SECRET
    port = registry.url.rpartition(":")[2]
    docker_login(nobody_logged_in, f"localhost:{port}", auth=encoded(SECRET))
    named = reference.parse(f"oci://LocalHost:{port}/models/net:v1")
    found = Registry(named, credentials.find(named.machine))
    assert push.push(shipped.read(root / "shipped"), found).sent == 6


def test_no_proxy_stands_between_this_machine_and_itself(
    registry: SmallRegistry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_registry.running() as proxy:
        for name in ("no_proxy", "http_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert pushed(registry, root, []).sent == 6
        assert proxy.calls == []


def test_no_secret_goes_to_where_uploads_are_sent(registry: SmallRegistry, root: Path, nobody_logged_in: Path) -> None:
    registry.password, registry.challenge = SECRET, "basic"
    docker_login(nobody_logged_in, registry.url, auth=encoded(SECRET))
    with small_registry.running() as store:
        store.password, store.challenge = SECRET, "basic"
        registry.uploads = f"{store.url}/v2/store/blobs/uploads/one?state=a"
        with pytest.raises(RegistryFailed, match="it answered 401"):
            pushed(registry, root, [])
        assert {who for _, _, who in store.calls} == {""}
        store.password = None
        with pytest.raises(RegistryFailed, match="MANIFEST_BLOB_UNKNOWN"):
            pushed(registry, root, [])
        assert store.blobs.keys() == {f"sha256:{file.sha256}" for file in shipped.read(root / "shipped").files}
    registry.uploads = "http://registry.example.org/v2/store/blobs/uploads/one"
    with pytest.raises(RegistryFailed, match="is plain http"):
        pushed(registry, root, [])


def helper(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "docker-credential-small"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize("declared", [{"credsStore": "small"}, {"credHelpers": {"git.test:5000": "small"}}])
def test_a_helper_is_asked(nobody_logged_in: Path, monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any]) -> None:
    (nobody_logged_in / "config.json").write_text(json.dumps(declared))
    helper(
        nobody_logged_in,
        'read -r server; echo "{\\"Username\\": \\"$server\\", \\"Secret\\": \\"s\\"}"',
        monkeypatch,
    )
    found = credentials.find("git.test:5000")
    assert found is not None
    assert (found.user, found.secret) == ("git.test:5000", "s")
    helper(nobody_logged_in, "echo credentials not found in native keychain; exit 1", monkeypatch)
    assert credentials.find("git.test:5000") is None
    for broken in ("echo no", f"echo {SECRET}; exit 1", "echo '{}'"):
        helper(nobody_logged_in, broken, monkeypatch)
        with pytest.raises(UsageError, match="`docker-credential-small` gives none") as caught:
            credentials.find("git.test:5000")
        assert SECRET not in str(caught.value)


def test_what_is_declared_and_of_no_use_is_told(nobody_logged_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nobody_logged_in / "config.json"
    for content, said in (
        ("{", "is no JSON"),
        ('{"auths": {"git.test": {"auth": "?"}}}', "is not base64"),
        ('{"credsStore": "../evil"}', "gives none"),
    ):
        path.write_text(content)
        with pytest.raises(UsageError, match=said):
            credentials.find("git.test")
    path.write_text('{"auths": {"git.test": {}, "other": {"auth": "?"}}}')
    assert credentials.find("git.test") is None
    monkeypatch.setenv(credentials.USER, "robot")
    with pytest.raises(UsageError, match=f"{credentials.PASSWORD}: is not set"):
        credentials.find("git.test")


def test_a_user_without_a_home_is_nobody_who_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("DOCKER_CONFIG", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert credentials.find("git.test") is None


def test_docker_s_own_registry_goes_by_two_names(nobody_logged_in: Path) -> None:
    named = reference.parse("oci://docker.io/acme/net:v1")
    assert named.machine == "registry-1.docker.io"
    docker_login(nobody_logged_in, "https://index.docker.io/v1/", auth=encoded("s"))
    found = credentials.find(named.machine)
    assert found is not None
    assert found.user == "robot"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oci://git.test/net", "has no tag"),
        ("oci://git.test:5000/net", "has no tag"),
        ("oci://git.test/Net:v1", "is no name of a repository"),
        ("oci://git.test/a/../b:v1", "is no name of a repository"),
        ("oci://git.test/net:v 1", "is no tag"),
        ("oci://git.test/net@sha256:00", "names a digest"),
        ("oci://robot:s3cret@git.test/net:v1", "credentials stand in the address"),
        ("oci://git.test:99999/net:v1", "is no host"),
        ("oci:///net:v1", "is no host"),
    ],
)
def test_an_address_that_is_none(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        reference.parse(text)
    assert "s3cret" not in str(caught.value)


def test_an_address_is_read(root: Path) -> None:
    assert reference.parse("oci://git.test:5000/a/b-c:v1.0") == Reference("git.test:5000", "a/b-c", "v1.0")
    assert reference.parse("oci://[::1]:5000/a:v1").host == "[::1]:5000"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://git.test/v2/", "https://GIT.test:443/v2/net", True),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]:443/", True),
        ("http://git.test:80", "http://git.test", True),
        ("https://git.test:80", "https://git.test", False),
        ("https://git.test", "https://git.test.other.test", False),
        ("https://git.test", "https://git.test@other.test", False),
    ],
)
def test_an_authority_is_the_same_however_it_is_written(one: str, other: str, same: bool) -> None:
    assert (reference.authority(one) == reference.authority(other)) is same
