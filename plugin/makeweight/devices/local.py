"""This machine: jobs run in a fresh process beside us."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from makeweight.devices.device import DeviceOptions, Facts
from makeweight_base.errors import DeviceFailed
from makeweight_base.installed import installed
from makeweight_probe.job import Job, Result, dump_job, load_result

_RUNTIMES = ("onnxruntime",)
# The instruction sets that decide how fast a compressed model can be; the kernel's names for them.
_TELLING_FLAGS = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16",
    "asimddp", "i8mm", "fphp", "asimdhp", "sve", "sve2", "bf16",
)  # fmt: skip


class LocalOptions(DeviceOptions):
    """Nothing more than any device has."""


class Local:
    """The machine that makeweight itself runs on."""

    Options: ClassVar[type[DeviceOptions]] = LocalOptions

    def __init__(self, name: str, options: DeviceOptions) -> None:
        self.name = name
        self.options = options

    def facts(self) -> Facts:
        cpu = _cpuinfo()
        return Facts(
            identity={
                "cpu": cpu.get("model name") or platform.processor() or "unknown",
                "machine": platform.machine(),
                "isa": sorted(set(_TELLING_FLAGS) & set((cpu.get("flags") or cpu.get("Features") or "").split())),
                "cores": os.cpu_count(),
                "system": platform.system(),
                "python": platform.python_version(),
                "runtimes": {name: found for name in _RUNTIMES if (found := installed(name))},
                "emulated": False,
            },
            conditions={
                "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
                "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
                "frequency_khz": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"),
                "temperature_millicelsius": _first_line("/sys/class/thermal/thermal_zone0/temp"),
            },
        )

    def run(self, job: Job, tell: Callable[[str], None]) -> Result:
        with tempfile.TemporaryDirectory(prefix="makeweight-probe-") as folder:
            asked, answered = Path(folder, "job.json"), Path(folder, "result.npz")
            asked.write_text(dump_job(job))
            environment = dict(os.environ)
            # The size of the environment moves the stack, and with it the speed of everything: draw it anew.
            environment["MAKEWEIGHT_OFFSET"] = "x" * (int.from_bytes(os.urandom(2)) % 4096)
            # -P: a file of the user's named like one of Python's own (queue.py) must not take its place
            command = [sys.executable, "-P", "-m", "makeweight_probe", str(asked), str(answered)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not answered.exists():
                raise DeviceFailed(
                    f"the measuring process ended with {_ending(done.returncode)}: {_last_line(done.stderr)}",
                    where=f"device `{self.name}`",
                    do="Run again; if it was killed, the machine may be short of memory.",
                )
            if done.stderr.strip():
                tell(done.stderr.strip())
            return load_result(answered)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    try:
        block = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
