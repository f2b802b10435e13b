"""What ships: all of what the verdict chose or nothing; handed over, the same to the byte, and pointed at."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from makeweight import cli
from makeweight.artifact.files import sha256_of
from makeweight.cli import main
from makeweight.layout import Layout
from makeweight.proof import signing
from makeweight.shipping import handover, shipped
from makeweight.shipping.oci import reference
from makeweight_base.errors import EnvironmentFailed, Exit
from makeweight_monitors.serving import pointer as pointers
from unit.shipping.judged_project import CHOSEN, judge, make

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FILES = {
    "manifest.json",
    "model-card.md",
    "model.onnx",
    "reference.json",
    "verdict.json",
    "weights/model.bin",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose verdict is a pass."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path, b"first")
    judge(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_that_belongs_to_the_model_ships_and_nothing_else(root: Path) -> None:
    assert main(["ship"]) == Exit.PASS
    held = contents(root / "shipped")
    assert held.keys() == FILES
    assert held["weights/model.bin"] == b"first"
    assert held["verdict.json"] == (root / "reports/verdict.json").read_bytes()
    listed = "".join(
        f"{hashlib.sha256(held[name]).hexdigest()}  {name}\n" for name in ("model.onnx", "weights/model.bin")
    )
    assert json.loads(held["manifest.json"])["sha256"] == hashlib.sha256(listed.encode()).hexdigest()


@pytest.mark.parametrize(
    ("verdict", "code"), [("fail", Exit.FAIL), ("inconclusive", Exit.INCONCLUSIVE)], ids=["fail", "inconclusive"]
)
def test_without_a_pass_nothing_ships_and_what_did_before_stays(
    root: Path, verdict: str, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ship"])
    before = contents(root / "shipped")
    make(root, b"second")
    judge(root, verdict=verdict, ship=None)
    assert main(["ship"]) == code
    assert f"nothing ships, the verdict is {verdict}: " in capsys.readouterr().err
    assert contents(root / "shipped") == before


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("makeweight.yaml", Exit.INCONCLUSIVE),
        ("artifacts/{}/weights/model.bin", Exit.INCONCLUSIVE),
        ("artifacts/{}/manifest.json", Exit.INCONCLUSIVE),
    ],
    ids=["configuration", "weights", "manifest"],
)
def test_what_changed_since_the_verdict_does_not_ship(root: Path, place: str, code: Exit) -> None:
    path = root / place.format(CHOSEN)
    path.write_bytes(path.read_bytes() + b" ")
    assert main(["ship"]) == code
    assert not (root / "shipped").exists()


def test_a_model_that_the_verdict_does_not_name_does_not_ship(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge(root, provenance={"config": sha256_of(root / "makeweight.yaml")})
    assert main(["ship"]) == Exit.USAGE
    assert "is not the one that was judged" in capsys.readouterr().err


def test_a_file_that_is_missing_leaves_what_shipped_before_whole(root: Path) -> None:
    main(["ship"])
    before = contents(root / "shipped")
    Layout(root).reference(CHOSEN).unlink()
    assert main(["ship"]) == Exit.USAGE
    assert contents(root / "shipped") == before
    assert [path.name for path in root.iterdir() if path.name.endswith(".part")] == []


def test_a_signature_ships_where_it_is_of_this_verdict(root: Path) -> None:
    verdict = Layout(root).verdict
    signing.vouch(verdict, PEM, where="the key")
    main(["ship"])
    assert contents(root / "shipped").keys() == FILES | {"verdict.json.sig"}
    judge(root, sentence="another")
    main(["ship"])
    assert contents(root / "shipped").keys() == FILES


def hand(*more: str) -> int:
    return main(["ship", "--to", "pointer:serving/current.json", *more])


def test_a_pointer_is_moved_to_a_copy_under_the_hash_of_its_files(root: Path) -> None:
    main(["ship"])
    assert hand("--as", "stable", "--revision", "r1") == Exit.PASS
    make(root, b"second")
    judge(root)
    main(["ship"])
    assert hand("--revision", "r2", "--attempt", "3") == Exit.PASS
    held = pointers.load(root / "serving/current.json")
    assert held.canary is not None
    assert (held.stable.revision, held.stable.weight, held.epoch) == ("r1", 0.9, 2)
    assert (held.canary.weight, held.canary.attempt, held.canary.variant) == (0.1, 3, CHOSEN)
    assert (root / "serving" / held.stable.path / "weights/model.bin").read_bytes() == b"first"
    assert contents(root / "serving" / held.canary.path) == contents(root / "shipped")
    assert held.canary.sha256 == json.loads((root / "shipped/manifest.json").read_text())["sha256"]


def test_a_canary_needs_a_stable_and_a_stable_waits_for_the_canary(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ship"])
    assert hand() == Exit.USAGE
    assert "no stable model" in capsys.readouterr().err
    assert not (root / "serving").exists()
    assert [hand("--as", "stable"), hand(), hand("--as", "stable")] == [Exit.PASS, Exit.PASS, Exit.USAGE]
    assert "is on trial" in capsys.readouterr().err


def test_a_damaged_copy_beside_the_pointer_is_made_anew(root: Path) -> None:
    main(["ship"])
    hand("--as", "stable")
    place = root / "serving" / pointers.load(root / "serving/current.json").stable.path
    (place / "model.onnx").write_bytes(b"rotten")
    assert hand() == Exit.PASS
    assert contents(place) == contents(root / "shipped")


def test_a_copy_that_goes_as_an_old_one_before_it_is_named_is_made_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["ship"])
    hand("--as", "stable")
    whole = pointers.write

    def write(path: Path, pointer: pointers.Pointer) -> pointers.Pointer:
        shutil.rmtree(path.parent / "models")
        return whole(path, pointer)

    monkeypatch.setattr(pointers, "write", write)
    assert hand() == Exit.PASS
    held = pointers.load(root / "serving/current.json")
    assert held.canary is not None
    assert contents(root / "serving" / held.canary.path) == contents(root / "shipped")


def test_a_folder_takes_it_and_what_is_not_ours_is_not_overwritten(root: Path) -> None:
    main(["ship"])
    (root / "home").mkdir()
    (root / "home/thesis.tex").write_text("ten years")
    assert main(["ship", "--to", "folder:home"]) == Exit.USAGE
    assert contents(root / "home").keys() == {"thesis.tex"}
    for _ in range(2):
        assert main(["ship", "--to", "folder:out/net"]) == Exit.PASS
        assert contents(root / "out/net") == contents(root / "shipped")


def test_what_was_tampered_with_on_its_way_is_not_handed_over(root: Path) -> None:
    main(["ship"])
    (root / "shipped/weights/model.bin").write_bytes(b"other")
    assert hand("--as", "stable") == Exit.USAGE
    assert not (root / "serving").exists()


def test_a_disk_that_gives_back_something_else_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["ship"])
    held = shipped.read(root / "shipped")
    monkeypatch.setattr(shipped.shutil, "copyfile", lambda _, place: Path(place).write_bytes(b"rotten"))
    with pytest.raises(EnvironmentFailed, match="not whole"):
        shipped.copy(held, root / "out")
    assert not (root / "out").exists()


def test_a_key_must_vouch_for_the_verdict(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "key.pub").write_bytes(PUBLIC)
    main(["ship"])
    assert main(["ship", "--to", "folder:out", "--key", "key.pub"]) == Exit.USAGE
    assert "is not signed" in capsys.readouterr().err
    signing.vouch(Layout(root).verdict, PEM, where="the key")
    main(["ship"])
    assert main(["ship", "--to", "folder:out", "--key", "key.pub"]) == Exit.PASS
    path = root / "shipped/verdict.json"
    path.write_text(path.read_text().replace("\n}", " \n}"))
    assert main(["ship", "--to", "folder:again", "--key", "key.pub"]) == Exit.FAIL


@pytest.mark.parametrize(
    ("target", "option"),
    [
        ("", "--as stable"),
        ("--to folder:out", "--weight 5%"),
        ("--to folder:out", "--attempt 1"),
        ("--to folder:out", "--plain-http"),
        ("--to oci://localhost:1/net:v1", "--revision r2"),
        ("--to pointer:serving/current.json --as stable", "--plain-http"),
    ],
)
def test_an_option_of_another_target_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], target: str, option: str
) -> None:
    main(["ship"])
    capsys.readouterr()
    assert main(["ship", *target.split(), *option.split()]) == Exit.USAGE
    assert f"{option.split()[0]}: that is of a" in capsys.readouterr().err
    assert not (root / "out").exists()
    assert not (root / "serving").exists()


def test_the_commands_of_the_page_are_ones() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/shipping.md").read_text()
    told = [shlex.split(line, comments=True) for line in page.splitlines() if line.startswith("makeweight ship --to ")]
    kinds = {handover.target(cli._parser().parse_args(words[1:]).to)[0] for words in told}
    assert kinds == set(get_args(handover.Kind))
    for words in told:
        if words[3].startswith("oci:"):
            reference.parse(words[3])


def test_nothing_has_shipped_yet(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hand() == Exit.USAGE
    assert "nothing has shipped here" in capsys.readouterr().err
