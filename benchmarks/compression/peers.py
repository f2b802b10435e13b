"""Peers on the network of `techniques.py`, beside variants of ours: `docs/peers.md` is written by this.

    python benchmarks/compression/peers.py --data DATA --folder FOLDER [--weights FILE] [--ours NAME ...] [PEER ...]
    python benchmarks/compression/peers.py --page

Each peer runs in an environment of its own, made under FOLDER by venv and pip, with a script beside this file that uses
it as its documentation does. All get the same trained network, the same pictures, and one thread. What came of it is
judged in one way: answers of ONNX Runtime on the test pictures, and `makeweight compare` with the baseline. DATA and
FOLDER are those of techniques.py, which makes the variants of ours (run it for them before). What was measured is kept
in `peers.json` beside this file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pictures import Pixels, read
from techniques import EPOCHS as BASELINE_EPOCHS
from techniques import REPOSITORY, measured_on, megabytes, points, project, ratio, spent

from makeweight.devices import record
from makeweight.layout import Layout
from makeweight.measure.statistics import paired_difference

HERE = Path(__file__).parent
PAGE, KEPT = REPOSITORY / "docs/peers.md", Path(__file__).with_suffix(".json")
Result = dict[str, Any]
ONNX_RUNTIME = ("onnx==1.23.2", "onnxruntime==1.32.0", "pillow", "sympy")
TORCH = "torch==2.13.0"
EPOCHS, MACS = 6, 0.6
"""Of the peer that trains."""
LIMIT = 0.005
"""The part of the accuracy that a recipe may lose against its control, to count as one for that."""
SECONDS = 20
FORMS = {"qdq.onnx": "QDQ", "qoperator.onnx": "QOperator"}


@dataclass(frozen=True)
class Peer:
    """One recipe, in an environment with these packages."""

    title: str
    script: str
    packages: tuple[str, ...]
    makes: tuple[str, ...]
    """Models that its script writes."""
    options: tuple[str, ...] = ()
    epochs: int = 0


PEERS = {
    "onnxruntime": Peer(
        "ONNX Runtime, static", "peer_onnxruntime.py", ONNX_RUNTIME, makes=("qdq.onnx", "qoperator.onnx")
    ),
    "nncf": Peer("NNCF, after training", "peer_nncf.py", ("nncf==3.4.0", *ONNX_RUNTIME), makes=("ptq.onnx",)),
    "torch-pruning": Peer(
        f"Torch-Pruning to {MACS:.0%} of the MACs, training, ONNX Runtime static",
        "peer_torch_pruning.py",
        (TORCH, "torch-pruning==1.6.1", "onnxscript==0.7.2", *ONNX_RUNTIME),
        makes=("int8.onnx",),
        options=(str(EPOCHS), str(MACS)),
        epochs=EPOCHS,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="train/, test/ and perhaps validation/, a folder a class in each")
    parser.add_argument("--folder", type=Path, help="that of techniques.py; environments and models are kept there")
    parser.add_argument("--weights", type=Path, help="the baseline's, trained by the example's train.py before")
    parser.add_argument("--ours", nargs="*", default=[], metavar="NAME", help="variants that stand in FOLDER")
    parser.add_argument("--page", action="store_true", help="only write the page, from what is kept")
    parser.add_argument("peers", nargs="*", help=f"{', '.join(PEERS)} (default: all)")
    options = parser.parse_args()
    if unknown := [name for name in options.peers if name not in PEERS]:
        parser.error(f"no peer is called {unknown[0]}")
    if not options.page:
        if options.data is None or options.folder is None:
            parser.error("--data and --folder are needed")
        folder, data = options.folder.resolve(), options.data.resolve()
        project(folder, data, options.weights, BASELINE_EPOCHS)
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        for name in options.peers or PEERS:
            kept |= of_peer(PEERS[name], name, folder, data)
        for name in options.ours:
            kept |= of_ours(name, folder, data)
        KEPT.write_text(json.dumps(beside_the_best(kept, folder), indent=1) + "\n")
    PAGE.write_text(page(json.loads(KEPT.read_text())))
    print(f"wrote {PAGE.relative_to(REPOSITORY)}")


def of_peer(peer: Peer, name: str, folder: Path, data: Path) -> dict[str, Result]:
    """What it makes, and the figures of it, by title. What stands there already is not made again."""
    made, cost = folder / "peers" / name, folder / "peers" / name / "cost.json"
    if not cost.exists():
        made.mkdir(parents=True, exist_ok=True)
        weights = "models/baseline.pt" if peer.epochs else "artifacts/baseline/model.onnx"
        told = spent([environment(peer, name, folder), HERE / peer.script, folder / weights, data, made, *peer.options])
        cost.write_text(json.dumps(told))
    control = made / "control.onnx" if peer.epochs else None
    results = {}
    for file in peer.makes:
        title = peer.title if len(peer.makes) == 1 else f"{peer.title}, {FORMS[file]}"
        figures = judged(made / file, control, folder, data)
        results[title] = {"epochs": peer.epochs, **json.loads(cost.read_text()), **figures}
    return results


def environment(peer: Peer, name: str, folder: Path) -> Path:
    """Its Python, made if there is none."""
    place = folder / "env" / name
    if not (place / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/python", "-m", "pip", "install", "--quiet", *peer.packages], check=True)
        (place / "made").touch()
    return place / "bin/python"


def of_ours(name: str, folder: Path, data: Path) -> dict[str, Result]:
    """The figures of a variant that techniques.py has made."""
    made, cost = folder / "artifacts" / name, json.loads((folder / f"{name}.cost.json").read_text())
    control = made / "control.onnx"
    epochs = epochs_in(json.loads((made / "manifest.json").read_text())["notes"])
    figures = judged(made / "model.onnx", control if control.exists() else None, folder, data)
    return {f"makeweight, `{name}`": {"ours": name, "epochs": epochs, **cost, **figures}}


def epochs_in(notes: Any) -> int:
    """All that a variant's steps were trained for, by its manifest."""
    if isinstance(notes, dict):
        return int(notes["epochs"]) if "epochs" in notes else sum(map(epochs_in, notes.values()))
    return sum(map(epochs_in, notes)) if isinstance(notes, list) else 0


def judged(model: Path, control: Path | None, folder: Path, data: Path) -> Result:
    """Bytes, accuracy on the test pictures and beside the control, and time beside the baseline.

    Args:
        control: None: nothing was trained, so it is the baseline.
    """
    baseline = folder / "artifacts/baseline/model.onnx"
    pixels, classes = read(data / "test")
    right, of_control = (answers(each, pixels) == classes for each in (model, control or baseline))
    harm, gain, count = int((of_control & ~right).sum()), int((right & ~of_control).sum()), len(classes)
    return {
        "cpu": record.read(Layout(folder).device("local")).identity["cpu"],
        "file": str(model.relative_to(folder)),
        "size": model.stat().st_size,
        "accuracy": float(right.mean()),
        "control": float(of_control.mean()),
        "drop_control": {"value": (harm - gain) / count, "interval": paired_difference(harm, gain, count)},
        "latency": compared(baseline, model),
    }


def answers(model: Path, pixels: Pixels) -> NDArray[np.int64]:
    """The class of each picture."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    some = [session.run(None, {"image": pixels[at : at + 250]})[0].argmax(1) for at in range(0, len(pixels), 250)]
    return np.concatenate(some)


def compared(one: Path, other: Path) -> Result:
    """The time of `other` over that of `one`."""
    command = [sys.executable, "-m", "makeweight", "compare", str(one), str(other), "--seconds", str(SECONDS), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout)
    return {"value": told["ratio"], "interval": told["interval"]}


def beside_the_best(results: dict[str, Result], folder: Path) -> dict[str, Result]:
    """Ours, beside the fastest and the smallest of the peers that lose no more than LIMIT."""
    within = [each for each in results.values() if "ours" not in each and each["drop_control"]["value"] <= LIMIT]
    fastest = min(within, key=lambda each: float(each["latency"]["value"]))
    smallest = min(each["size"] for each in within)
    for each in results.values():
        if "ours" in each:
            each["faster"] = compared(folder / each["file"], folder / fastest["file"])
            each["smaller"] = smallest / each["size"]
    return results


def page(results: dict[str, Result]) -> str:
    results = dict(sorted(results.items(), key=lambda each: "ours" in each[1]))
    lines = [_HEAD]
    lines += ["| recipe | epochs | kB | accuracy | its control | difference | latency ratio | peak memory | made in |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for title, each in results.items():
        cells = [title, str(each["epochs"]), f"{each['size'] / 1e3:.1f}", f"{each['accuracy']:.2%}"]
        cells += [f"{each['control']:.2%}", points(each["drop_control"]), ratio(each["latency"])]
        cells += [megabytes({"value": each["memory"]}), f"{each['seconds']:.0f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    if ours := {title: each for title, each in results.items() if "ours" in each}:
        lines += ["", f"Beside the fastest and the smallest of the peers that lose at most {100 * LIMIT:g} points:", ""]
        for title, each in ours.items():
            lines.append(f"- {title}: {ratio(each['faster'])} times as fast, {each['smaller']:.2f} times as small.")
    if missing := [each.title for each in PEERS.values() if not any(title.startswith(each.title) for title in results)]:
        lines += ["", f"Not measured yet: {'; '.join(missing)}."]
    lines += measured_on(results)
    return "\n".join(lines) + "\n"


_HEAD = """\
# Beside its peers

Written by `python benchmarks/compression/peers.py`. The network, its training and its pictures are those of
[techniques.md](techniques.md); every recipe runs on ONNX Runtime, on one thread.

- Each peer is used as its documentation does, in an environment of its own; the scripts stand beside the benchmark.
- *Epochs* are all that a recipe trains for, beginning with the trained baseline. *Its control* is the baseline, trained
  for as many by the same options and not compressed; where nothing is trained, it is the baseline.
- Differences are paired, with the 95 % interval; latency ratios are those of `makeweight compare` with the baseline.
- *Made in* is processor time, and *peak memory* that of making it; both with the training of the control.
"""

if __name__ == "__main__":
    main()
