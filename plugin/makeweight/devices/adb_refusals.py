"""What adb, and the shell and the programs behind it, say when they fail, and what helps."""

from __future__ import annotations

from makeweight.devices.again import Broken
from makeweight.devices.device import DeviceFailed
from makeweight.devices.refusals import Case, fitting
from makeweight.programs.program import shortened
from makeweight_probe.last_words import ended, last_line

_SEE = "See what `adb devices` lists."
# The first that fits counts.
_CASES = (
    Case(
        "unauthorized",
        "it has not allowed this computer to reach it",
        "Unlock its screen and allow USB debugging there; where nothing is asked, pull the cable and put it in again.",
    ),
    Case("still authorizing", "it is still asking whether this computer may reach it", "Allow it on its screen."),
    Case(
        "device offline",
        "it is there and does not answer",
        "Pull its cable and put it in again, or `adb reconnect offline`.",
    ),
    Case(
        "no permissions",
        "this user may not reach it over USB",
        "Join the group `plugdev`, or install the udev rules (Debian: apt install android-sdk-platform-tools-common).",
        also=("insufficient permissions",),
    ),
    Case(
        "more than one device",
        "there are several devices, and which it is is not said",
        "Name it with `serial:`, as `adb devices` lists it.",
    ),
    Case(
        "no devices/emulators",
        "there is no Android device",
        "Put in its cable and switch on USB debugging (Settings, Developer options), or name it with "
        "`serial: HOST:PORT`.",
    ),
    Case(
        "failed to connect",
        "nothing there answers adb",
        "Switch on wireless debugging there, pair with it once (`adb pair HOST:PORT`), and mend `serial:`.",
    ),
    Case(
        "target doesn't support pty args",
        "its Android is older than 7, whose adb tells nothing of how a program ended",
        "Take a device with Android 7 or newer.",
    ),
    Case("failed to authenticate", "it has not allowed this computer to reach it", "Allow it on its screen."),
    Case("no space left on device", "it is full", "Make room there; what makeweight keeps is FOLDER."),
    Case("read-only file system", "FOLDER cannot be written to there", "See whether its storage is in order."),
    Case(
        "server version",
        "another adb on this computer is of another version",
        "Leave one of them: `adb kill-server`, then run again.",
    ),
    Case(
        "cannot connect to daemon",
        "the adb server of this computer cannot be reached",
        "See ADB_SERVER_SOCKET and ANDROID_ADB_SERVER_PORT, and what `adb start-server` says.",
    ),
    Case("not found", "there is no device `SERIAL`", f"Mend `serial:` of the device. {_SEE}"),
)

# What a program or the shell says of one that cannot be run. The first that fits counts.
_PROGRAM_CASES = (
    Case(
        "cannot link executable",
        "PROGRAM lacks a library there: SAID",
        "Name the library with `libraries:`; it is put beside the program.",
        also=("error while loading shared libraries",),
    ),
    Case(
        "exec format error",
        "PROGRAM is made for another kind of processor",
        "Take the one for `ABI`.",
        also=("not executable: ",),
    ),
    Case("permission denied", "PROGRAM may not be run there", "See whether FOLDER allows programs on this device."),
    Case(
        "no such file or directory",
        "PROGRAM cannot be started there: SAID",
        "If it was built for Linux and not for Android, what starts its libraries is missing: take Android's build.",
        also=("inaccessible or not found",),
    ),
)
_PASSING = (
    "error: closed",
    "protocol fault",
    "connection reset",
    "broken pipe",
    "device offline",
    "device still connecting",
    "failed to read",
    "transport error",
)
"""What adb says of a connection that ended, where the next may hold: of a cable that was touched, of a device that
leaves the network for a moment, of an adb server that begins anew."""
_NOT_FOUND, _NOT_RUN = 127, 126
"""Exit codes of a shell."""


def refusal(
    device: str, serial: str | None, folder: str, said: str, doing: str | None = None, gone: str | None = None
) -> DeviceFailed:
    """The error of a device that could not be reached, or where something simple failed.

    Args:
        said: what adb wrote.
        doing: what failed; None: the connection.
        gone: what to say where adb says nothing.
    """
    where, case = f"device `{device}`", fitting(_CASES, said, SERIAL=serial or "", FOLDER=folder)
    first = next((shortened(line) for line in said.splitlines() if line.strip()), None)
    if case is not None:
        what, do = case
    elif first is not None:
        what, do = first, _SEE
    else:
        what, do = gone or "the connection was lost", "See whether it is still there, and run again."
    return DeviceFailed(what if doing is None else f"{doing}: {what}", where=where, do=do)


def broken(device: str, serial: str | None, folder: str, said: str, doing: str | None = None) -> DeviceFailed:
    """As `refusal`: `Broken`, or one that another attempt would meet, too."""
    told, low = refusal(device, serial, folder, said, doing), said.lower()
    passes = not low.strip() or any(sign in low for sign in _PASSING)
    return Broken(told.what, where=told.where, do=told.do) if passes else told


def program_refusal(device: str, program: str, folder: str, abi: str, code: int, said: str) -> DeviceFailed:
    """The error of a program that did not do its work there.

    Args:
        abi: what the device runs.
        code: how it ended; negative: the signal.
    """
    last = shortened(last_line(said))
    case = None
    if code in (_NOT_FOUND, _NOT_RUN, 1):
        case = fitting(_PROGRAM_CASES, said, PROGRAM=f"`{program}`", SAID=last, FOLDER=folder, ABI=abi)
    what, do = case or (
        f"`{program}` ended with {ended(code, last)}",
        "If it was killed, the device may be short of memory; else see what it says there.",
    )
    return DeviceFailed(what, where=f"device `{device}`", do=do)
