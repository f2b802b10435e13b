"""`sign`, `verify` and `gate FILES` on a project that was really compressed and measured, and then tampered with."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from makeweight.cli import main

CONFIG = """\
name: tiny
model: {onnx: model.onnx}
data: {npz: {test: test.npz, calibration: test.npz}}
task: classification
variants:
  int8: {steps: [{quantize: {method: dynamic}}]}
  half: {steps: [float16]}
devices: {here: {kind: local, processes: 1}}
budget: {size: {max: 1 MB}, latency_p50: {max: 1 s}}
"""
VERDICT = Path("reports/verdict.json")


def tool(*arguments: object) -> None:
    subprocess.run([*map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys as people have them: made by openssl and by ssh-keygen."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / f"{name}.pem")
        tool("openssl", "pkey", "-in", folder / f"{name}.pem", "-pubout", "-out", folder / f"{name}.pub")
    tool("openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / "rsa.pem")
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a user", "-f", folder / "ssh")
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", folder / "locked")
    return folder


@pytest.fixture(scope="module")
def measured(short_tails: None, probed_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    tiny_models.dense(root / "model.onnx")
    inputs = np.random.default_rng(0).standard_normal((30, tiny_models.FEATURES)).astype(np.float32)
    np.savez(root / "test.npz", x=inputs, target=np.arange(30) % tiny_models.CLASSES)
    (root / "makeweight.yaml").write_text(CONFIG)
    at = ["--project", str(root)]
    assert main(["baseline", *at]) == 0
    assert main(["device", "here", *at]) == 0
    for name in ("int8", "half"):
        assert main(["compress", name, *at]) == 0
        assert main(["evaluate", name, *at]) == 0
        assert main(["benchmark", name, "--device", "here", *at]) == 0
    assert main(["report", *at]) == 0
    return root


@pytest.fixture
def project(measured: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that may be damaged, signed by us, and the folder that commands run in."""
    root = tmp_path / "elsewhere"
    shutil.copytree(measured, root)
    monkeypatch.chdir(root)
    assert main(["sign", str(VERDICT), "--key", str(keys / "ours.pem")]) == 0
    return root


Said = pytest.CaptureFixture[str]


def verify(said: Said, *arguments: object) -> tuple[int, dict[str, Any]]:
    said.readouterr()
    code = main(["verify", *map(str, arguments), "--json"])
    told = said.readouterr()
    assert told.err == ""
    return code, json.loads(told.out)


def odd(found: dict[str, Any]) -> dict[str, str]:
    return {each["what"]: each["status"] for each in found["checked"] if each["status"] != "matches"}


def test_what_is_signed_and_untouched_is_genuine(project: Path, keys: Path, capsys: Said) -> None:
    code, found = verify(capsys, VERDICT, "--key", keys / "ours.pub")
    assert code == 0
    assert found["result"] == "genuine"
    assert found["signature"]["status"] == "good"
    assert found["replay"]["status"] == "same"
    assert odd(found) == {}
    assert {each["what"] for each in found["checked"]} == {
        "makeweight.yaml",
        "model.onnx",
        "test.npz",
        "artifacts/baseline/model.onnx",
        "artifacts/baseline/inputs.npz",
        "artifacts/baseline/manifest.json",
        "artifacts/int8/model.onnx",
        "artifacts/int8/manifest.json",
        "artifacts/half/model.onnx",
        "artifacts/half/manifest.json",
        "samples/baseline/evaluate.npz",
        "samples/int8/evaluate.npz",
        "samples/int8/here.npz",
        "samples/half/evaluate.npz",
        "samples/half/here.npz",
        "device `here`",
    }


def test_it_reads_well_for_people(project: Path, keys: Path, capsys: Said) -> None:
    capsys.readouterr()
    assert main(["verify", str(VERDICT), "--key", str(keys / "ours.pub")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("reports/verdict.json: pass. ")
    assert lines[1].startswith("  signature   good, by sha256:")
    assert lines[2] == f"  hashes      16 match (in {project})"
    assert lines[3].startswith("  decision    the same when made again from its ")
    assert lines[4].startswith("genuine: ")


def test_the_report_gives_the_same_bytes_again(project: Path, keys: Path, capsys: Said) -> None:
    """So a signature stays good when the stage runs again and nothing changed."""
    before = VERDICT.read_bytes()
    assert main(["report"]) == 0
    assert VERDICT.read_bytes() == before
    assert verify(capsys, VERDICT, "--key", keys / "ours.pub")[0] == 0


def test_openssl_agrees(project: Path, keys: Path, tmp_path: Path) -> None:
    """It can be checked without makeweight: the signature is over the file's bytes and nothing more."""
    held = json.loads(Path(f"{VERDICT}.sig").read_text())
    (tmp_path / "raw.sig").write_bytes(base64.b64decode(held["signature"]))

    def checked(name: str) -> int:
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(keys / name)]
        command += ["-in", str(VERDICT), "-sigfile", str(tmp_path / "raw.sig")]
        return subprocess.run(command, check=False, capture_output=True).returncode

    assert checked("ours.pub") == 0
    assert checked("theirs.pub") != 0
    VERDICT.write_bytes(VERDICT.read_bytes() + b" ")
    assert checked("ours.pub") != 0


def test_keys_of_ssh_will_do(project: Path, keys: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["sign", str(VERDICT), "--key", str(keys / "ssh")]) == 0
    assert verify(capsys, VERDICT, "--key", keys / "ssh.pub")[0] == 0
    assert verify(capsys, VERDICT, "--key", keys / "ours.pub")[0] == 1


def test_a_key_by_standard_input(project: Path, keys: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "makeweight", "sign", str(VERDICT), "--key", "-"],
        input=(keys / "theirs.pem").read_bytes(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"reports/verdict.json.sig: signed by sha256:")
    assert main(["verify", str(VERDICT), "--key", str(keys / "theirs.pub")]) == 0


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("rsa.pem", "of kind RSA, and signatures here are Ed25519"),
        ("locked", "this key is encrypted"),
        ("ours.pub", "this is a public key"),
        ("nothing", "cannot be read: No such file"),
    ],
)
def test_a_key_that_cannot_sign_leaves_the_signature_alone(
    project: Path, keys: Path, capsys: Said, key: str, said: str
) -> None:
    before = Path(f"{VERDICT}.sig").read_bytes()
    assert main(["sign", str(VERDICT), "--key", str(keys / key)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {keys / key}: ")
    assert said in err
    assert Path(f"{VERDICT}.sig").read_bytes() == before


# Tampering


def test_no_byte_of_the_verdict_may_change(project: Path, keys: Path, capsys: Said) -> None:
    whole = VERDICT.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        VERDICT.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        code, found = verify(capsys, VERDICT, "--key", keys / "ours.pub")
        assert (code, found["result"]) == (1, "forged"), place
        assert "it is not the file that was signed" in found["signature"]["reason"]


def test_what_is_no_verdict_any_more_is_forged_all_the_same(project: Path, keys: Path, capsys: Said) -> None:
    VERDICT.write_bytes(b"\xff")
    code, found = verify(capsys, VERDICT, "--key", keys / "ours.pub")
    assert (code, found["result"], found["verdict"]) == (1, "forged", None)
    assert main(["verify", str(VERDICT), "--key", str(keys / "ours.pub")]) == 1
    assert capsys.readouterr().out.endswith("FORGED: this key does not vouch for this file\n")
    assert main(["verify", str(VERDICT)]) == 2


def test_no_byte_of_the_signature_may_change(project: Path, keys: Path, capsys: Said) -> None:
    beside = Path(f"{VERDICT}.sig")
    held = json.loads(beside.read_text())
    raw = bytearray(base64.b64decode(held["signature"]))
    raw[7] ^= 1
    beside.write_text(json.dumps({**held, "signature": base64.b64encode(bytes(raw)).decode()}))
    code, found = verify(capsys, VERDICT, "--key", keys / "ours.pub")
    assert (code, found["result"]) == (1, "forged")
    assert "not made by this key over this file" in found["signature"]["reason"]
    beside.write_text("{}")
    assert main(["verify", str(VERDICT), "--key", str(keys / "ours.pub")]) == 2
    assert "reports/verdict.json.sig: this is no signature" in capsys.readouterr().err
    beside.unlink()
    assert main(["verify", str(VERDICT), "--key", str(keys / "ours.pub")]) == 2
    assert "there is no signature beside the file" in capsys.readouterr().err


def test_another_key_is_no_proof(project: Path, keys: Path, capsys: Said) -> None:
    code, found = verify(capsys, VERDICT, "--key", keys / "theirs.pub")
    assert (code, found["result"]) == (1, "forged")
    assert "signed with another key" in found["signature"]["reason"]


def swapped_model(root: Path) -> str:
    shutil.copy(root / "artifacts/half/model.onnx", root / "artifacts/int8/model.onnx")
    return "artifacts/int8/model.onnx"


def edited_samples(root: Path) -> str:
    path = root / "samples/int8/here.npz"
    with np.load(path) as data:
        arrays = {name: data[name] * 0.5 if name.endswith("wall_b") else data[name] for name in data.files}
    np.savez_compressed(path, **arrays)
    return "samples/int8/here.npz"


def other_examples(root: Path) -> str:
    np.savez(root / "test.npz", x=np.zeros((3, tiny_models.FEATURES), np.float32), target=np.arange(3))
    return "test.npz"


def other_source(root: Path) -> str:
    tiny_models.dense(root / "model.onnx", depth=3)
    return "model.onnx"


@pytest.mark.parametrize("tamper", [swapped_model, edited_samples, other_examples, other_source])
@pytest.mark.parametrize("signed", [True, False], ids=["with key", "without"])
def test_what_lies_beside_the_verdict_is_compared(
    project: Path, keys: Path, capsys: Said, tamper: Callable[[Path], str], signed: bool
) -> None:
    path = tamper(project)
    key = ["--key", keys / "ours.pub"] if signed else []
    code, found = verify(capsys, VERDICT, *key)
    assert (code, found["result"], odd(found)) == (1, "differs", {path: "differs"})
    assert found["replay"]["status"] == "same", "it is the file that is wrong, not the verdict"


def test_another_budget_is_not_what_was_decided_by(project: Path, keys: Path, capsys: Said) -> None:
    config = project / "makeweight.yaml"
    config.write_text(config.read_text().replace("1 MB", "1 kB"))
    code, found = verify(capsys, VERDICT, "--key", keys / "ours.pub")
    assert (code, odd(found)) == (1, {"makeweight.yaml": "differs"})
    assert found["replay"]["status"] == "not replayed"
    assert "is not the one it was decided by" in found["replay"]["reasons"][0]


def test_a_figure_that_was_made_up_is_found_out_without_a_key(project: Path, capsys: Said) -> None:
    data = json.loads(VERDICT.read_text())
    for entry in data["measurements"]:
        if entry["metric"] == "size":
            entry["value"] = 2e6
    VERDICT.write_text(json.dumps(data))
    code, found = verify(capsys, VERDICT)
    assert (code, found["result"], odd(found)) == (1, "differs", {})
    assert "`size.max` of `int8`" in " ".join(found["replay"]["reasons"])
    assert main(["verify", str(VERDICT)]) == 1
    assert "DIFFERS: the verdict does not follow from its own measurements" in capsys.readouterr().out


def test_what_is_absent_is_listed_and_no_fault(project: Path, keys: Path, capsys: Said) -> None:
    """As after `git clone`, before `dvc pull`."""
    shutil.rmtree("artifacts")
    shutil.rmtree("samples")
    code, found = verify(capsys, VERDICT, "--key", keys / "ours.pub")
    assert (code, found["result"]) == (0, "genuine")
    assert set(odd(found).values()) == {"not here"}
    assert "artifacts/int8/model" in odd(found)
    assert found["replay"]["status"] == "same"
    code, found = verify(capsys, VERDICT)
    assert (code, found["result"]) == (0, "unsigned")


def test_without_a_key_nothing_is_proven_and_alone_nothing_is_checked(
    project: Path, keys: Path, capsys: Said, tmp_path: Path
) -> None:
    assert main(["verify", str(VERDICT)]) == 0
    assert "without `--key`, nothing proves who wrote this file" in capsys.readouterr().out
    alone = tmp_path / "downloads"
    alone.mkdir()
    for name in ("verdict.json", "verdict.json.sig"):
        shutil.copy(Path("reports", name), alone)
    code, found = verify(capsys, alone / "verdict.json")
    assert (code, found["result"]) == (3, "nothing checked")
    assert verify(capsys, alone / "verdict.json", "--key", keys / "ours.pub")[0] == 0
    code, found = verify(capsys, alone / "verdict.json", "--project", project)
    assert (code, found["result"], odd(found)) == (0, "unsigned", {})


def test_control_characters_of_a_hostile_file_do_not_reach_the_terminal(project: Path, capsys: Said) -> None:
    data = json.loads(VERDICT.read_text())
    data["sentence"] = "all is well\x1b[2J\x1b]0;owned\x07"
    data["provenance"]["raw_samples"] = {"samples/\x1b[31m\n": "0" * 64}
    VERDICT.write_text(json.dumps(data))
    capsys.readouterr()
    assert main(["verify", str(VERDICT)]) == 0
    out = capsys.readouterr().out
    assert "all is well" in out
    assert "\x1b" not in out


# gate FILES


def collected() -> list[str]:
    return sorted(map(str, Path("reports").glob("*/*.json")))


def test_the_gate_decides_on_collected_files_as_the_report_did(
    project: Path, capsys: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = json.loads(VERDICT.read_text())
    apart = tmp_path / "gate"
    shutil.copytree("reports", apart / "reports")
    shutil.copy("makeweight.yaml", apart)
    monkeypatch.chdir(apart)
    VERDICT.unlink()
    capsys.readouterr()
    assert main(["gate", *collected(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    provenance = found.pop("provenance")
    del expected["provenance"]
    found["measurements"].sort(key=str)
    expected["measurements"].sort(key=str)
    assert found == expected
    assert set(provenance["measurements"]) == set(collected())
    assert main(["gate", *collected()]) == 0
    assert "report: none" in capsys.readouterr().out


def test_the_gates_exit_code_is_that_of_these_files(project: Path, capsys: Said) -> None:
    config = Path("makeweight.yaml")
    config.write_text(CONFIG.replace("1 MB", "1 B"))
    assert main(["gate", *collected()]) == 1
    assert main(["gate"]) == 3, "without files it is the verdict that was written, stale by now"
    config.write_text(CONFIG)
    evaluations = [path for path in collected() if path.endswith("evaluate.json")]
    assert main(["gate", *evaluations]) == 3
    assert "latency p50 on here is not measured" in capsys.readouterr().out


def test_files_of_two_runs_are_refused(project: Path, capsys: Said) -> None:
    again = Path("reports/int8/again.json")
    data = json.loads(Path("reports/int8/evaluate.json").read_text())
    for entry in data["measurements"]:
        entry["key"] = "0" * 64
    again.write_text(json.dumps(data))
    assert main(["gate", *collected()]) == 2
    err = capsys.readouterr().err
    assert "reports/int8/again.json" in err
    assert "reports/int8/evaluate.json" in err


# A process of its own

SPY = """
import json, sys
from makeweight.cli import main
code = main(sys.argv[1:])
print("\\n" + json.dumps({"code": code, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


@pytest.mark.parametrize("verb", ["gate", "verify"])
def test_who_judges_needs_no_runtime(project: Path, keys: Path, verb: str) -> None:
    arguments = ["gate", *collected()] if verb == "gate" else ["verify", str(VERDICT), "--key", str(keys / "ours.pub")]
    done = subprocess.run([sys.executable, "-c", SPY, *arguments], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["code"] == 0
    assert not set(told["modules"]) & {"torch", "torch_pruning", "onnx", "onnxruntime", "onnxscript", "dvc", "PIL"}


def test_a_terminal_without_unicode_is_no_obstacle(project: Path) -> None:
    data = json.loads(VERDICT.read_text())
    data["sentence"] = "ziffern-µ-数字"
    VERDICT.write_text(json.dumps(data))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-m", "makeweight", "verify", str(VERDICT)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"ziffern-?" in done.stdout
    assert done.stderr == b""
