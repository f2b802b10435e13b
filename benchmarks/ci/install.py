"""The Action's installation once every package is at hand. Target: under 30 s.

The very scripts of `setup/`, each run in a folder of its own: a fresh environment, then makeweight and what the extras
ask for. Packages come from a folder that is filled before, so that no run waits for a network: a warm cache of pip's
is as fast, but for one small question to the index per package. Setting up Python and fetching the cache are not in
it; other actions do that. A bare environment is shown for scale. A busy machine stretches seconds, so those of the
processors stand beside. torch is the version of constraints.txt; the environment variable TORCH_INDEX is the Action's
input `torch-index`, for a machine whose pip would fetch a build with GPU libraries.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
EXTRAS = ("dvc,onnx", "dvc,torch,sign")
RUNS = 3
TARGET = 30.0


def main() -> None:
    torch_index = os.environ.get("TORCH_INDEX", "")
    with tempfile.TemporaryDirectory(prefix="makeweight-wheels-") as folder:
        _fetch(Path(folder), torch_index)
        offline = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": folder,
            "TORCH_INDEX": torch_index,
        }
        empty: list[float] = []
        times: dict[str, list[tuple[float, float]]] = {}
        for _ in range(RUNS):
            empty.append(_empty())
            for extras in EXTRAS:
                times.setdefault(extras, []).append(_installed(extras, offline))
    bare = statistics.median(empty)
    print(f"an empty environment: {bare:.1f} s (median of {RUNS}, interleaved)")
    for extras, taken in times.items():
        median, busy = (statistics.median(column) for column in zip(*taken, strict=True))
        print(
            f"install, extras {extras}: {median:.1f} s, {median / bare:.1f}x an empty environment, "
            f"{busy:.1f} s of processors, worst {max(taken)[0]:.1f} s (target: under {TARGET:.0f} s)"
        )


def _fetch(wheels: Path, torch_index: str) -> None:
    """Fill the folder: all that is asked for, and what makeweight itself is built with."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    index = [f"--extra-index-url={torch_index}"] if torch_index else []
    wanted = [f"--constraint={CONSTRAINTS}", *index, f"{ROOT}[{','.join(EXTRAS)}]", *build]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", f"--wheel-dir={wheels}", *wanted], check=True)
    for own in wheels.glob("makeweight-*.whl"):
        own.unlink()  # the Action builds it


def _empty() -> float:
    with tempfile.TemporaryDirectory(prefix="makeweight-install-") as folder:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/venv"], check=True)
        return time.perf_counter() - started


def _installed(extras: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of the two steps, by the clock and of processors; what they made is called once, and removed."""
    with tempfile.TemporaryDirectory(prefix="makeweight-install-") as folder:
        given = {
            **environment,
            "RUNNER_TEMP": folder,
            "GITHUB_OUTPUT": f"{folder}/output",
            "ROOT": str(ROOT),
            "PYTHON": sys.executable,
            "INSTALL": "true",
            "EXTRAS": extras,
            "REQUIREMENTS": "",
        }
        started, before = time.perf_counter(), _busy()
        for script in ("environment.sh", "install.sh"):
            subprocess.run(["bash", str(ROOT / "setup" / script)], env=given, cwd=folder, check=True)
        taken = time.perf_counter() - started, _busy() - before
        subprocess.run([f"{folder}/makeweight/bin/makeweight", "--version"], check=True, stdout=subprocess.DEVNULL)
        return taken


def _busy() -> float:
    """Seconds that processors have spent on processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
