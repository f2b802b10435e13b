"""A private folder on a device with a Python that has numpy and the runtimes; nothing else there is touched.

It is made there by the device's own Python; where no package index can be reached from there, wheels for it are fetched
from here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from makeweight.bench import probe
from makeweight.devices.device import Device, DeviceFailed, Private, private
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_base.installed import installed
from makeweight_probe import bootstrap as there
from makeweight_probe import sessions
from makeweight_probe.job import CPU

Tell = Callable[[str], None]
_HELP = {
    "disk": "its disk is full: make room there",
    "venv": "its Python has no `venv`: install it there (Debian: apt install python3-venv), and run this again",
    "wheel": "there is no wheel for its Python and architecture: name another version by `--with PACKAGE==VERSION`, or "
    "install what it needs there by hand and name that Python by `python:`",
    "runtime": "a runtime was installed and cannot be imported there: name another by `--with PACKAGE==VERSION`",
    "network": "no package index can be reached from there, nor were there wheels to take from here",
    "unknown": "see what it says, and run this again",
}


def requirements(runtimes: Sequence[str], given: Sequence[str] = (), execution_provider: str = CPU) -> list[str]:
    """numpy and the runtimes' packages as pip takes them, each of the version that is here.

    Args:
        given: requirements that stand for those of the same package.
        execution_provider: what is to compute there.

    Raises:
        UsageError: one of the runtimes does not say what it needs.
    """
    wanted = ["numpy"]
    for runtime in runtimes:
        packages = sessions.packages(runtime, execution_provider)
        if packages is None:
            raise UsageError(
                f"the sessions of the runtime `{runtime}` do not say what they need",
                do="Name it by `--with`, or install it there by hand.",
            )
        wanted.extend(packages)
    named = {_package(each): each for each in given}
    pinned = {package: f"{package}=={found}" if (found := installed(package)) else package for package in wanted}
    return sorted({**pinned, **named}.values())


def furnish(device: Device, needed: Sequence[str], runtimes: Sequence[str], tell: Tell) -> bool:
    """Whether it had to be made; where all is there already, nothing is done.

    Raises:
        UsageError: it is not a device on which that can be done.
        DeviceFailed: it cannot be made there, with what is lacking; what was there before is left.
    """
    own = private(device)
    if own is None:
        raise UsageError(
            f"device `{device.name}` is of a kind that has no private folder for a Python",
            do=f"Install what it needs there: {', '.join(needed)}.",
        )
    tell(f"{device.name}: {', '.join(needed)} in ~/{own.furnished}")
    answer = _asked(device, own, needed, runtimes, None, tell)
    if answer.get("lacking") == "network":
        tell(f"{device.name}: no package index can be reached from there; wheels are fetched from here")
        with tempfile.TemporaryDirectory(prefix="makeweight-wheels-") as folder:
            wheels = _fetched(Path(folder), needed, answer)
            first = device.put(*wheels)
            answer = _asked(device, own, needed, runtimes, str(Path(first).parent), tell)
    if "lacking" in answer:
        raise DeviceFailed(str(answer["said"]), where=f"device `{device.name}`", do=_help(answer["lacking"]))
    return bool(answer["made"])


def _help(lacking: str) -> str:
    text = _HELP[lacking]
    return f"{text[0].upper()}{text[1:]}."


def _asked(
    device: Device, own: Private, needed: Sequence[str], runtimes: Sequence[str], wheels: str | None, tell: Tell
) -> dict[str, Any]:
    asked = {"folder": own.furnished, "requirements": list(needed), "runtimes": list(runtimes), "wheels": wheels}
    with tempfile.TemporaryDirectory(prefix="makeweight-bootstrap-") as folder:
        answered = probe.process(
            device, own.bare_python, there.__name__, json.dumps(asked), "answer.json", Path(folder), tell
        )
        try:
            answer: dict[str, Any] = json.loads(answered.read_text())
        except ValueError as error:
            raise probe.garbled(device, error) from error
        return answer


def _fetched(folder: Path, needed: Sequence[str], answer: dict[str, Any]) -> list[Path]:
    """Wheels that the Python there can install.

    Raises:
        DeviceFailed: there are none for it.
        EnvironmentFailed: none can be fetched from here either.
    """
    version = str(answer["python"])
    abi = f"cp{version.replace('.', '')}"
    tags = [word for platform in (*answer["platforms"], "any") for word in ("--platform", platform)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
        "--dest", str(folder), "--only-binary", ":all:", "--implementation", "cp", "--python-version", version,
        "--abi", abi, "--abi", "abi3", "--abi", "none", *tags, *needed,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}"
        lacking = there.lacking(said)
        raise EnvironmentFailed(there.error(said), where="fetching wheels here", do=_help(lacking))
    return sorted(folder.iterdir())


def _package(requirement: str) -> str:
    """The name in `onnxruntime==1.23.2`."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else " " for letter in requirement).split()
    return name[0].lower().replace("_", "-") if name else requirement
