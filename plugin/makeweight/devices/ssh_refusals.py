"""What OpenSSH and the shell behind it say when they fail, and what helps."""

from __future__ import annotations

from makeweight.devices.device import DeviceFailed
from makeweight.devices.refusals import Case, fitting

# The first that fits counts. HOST stands for the host.
_CASES = (
    Case(
        "identification has changed",
        "its host key is not the one that is known",
        "If the machine was set up anew, forget its old key (`ssh-keygen -R HOST`) and connect by hand once; if not, "
        "another machine answers in its place.",
    ),
    Case(
        "host key verification failed",
        "its host key is not known",
        "Connect by hand once and compare the fingerprint: `ssh HOST`.",
    ),
    Case(
        "permission denied (",
        "it accepts no key of yours",
        "Give it one (`ssh-copy-id HOST`), or start the agent that holds it; nobody is there to type a password.",
    ),
    Case("could not resolve hostname", "no machine has the name `HOST`", "Mend `host:` of the device."),
    Case("connection refused", "nothing there answers SSH", "Start its SSH server, or mend the port."),
    Case("no route to host", "there is no way to it", "See whether it is switched on and in this network."),
    Case("timed out", "it does not answer", "See whether it is switched on and in this network."),
    Case("not responding", "it does not answer any more", "See whether it is switched on and in this network."),
    Case(
        "no space left on device", "its disk is full", "Make room there; what makeweight keeps is ~/.cache/makeweight."
    ),
    Case("read-only file system", "its disk cannot be written to", "What makeweight keeps is ~/.cache/makeweight."),
)


def refusal(device: str, host: str, said: str, doing: str | None = None) -> DeviceFailed:
    """The error of a device that could not be reached, or where something simple failed.

    Args:
        said: the standard error.
        doing: what failed; None: the connection.
    """
    where, case = f"device `{device}`", fitting(_CASES, said, HOST=host)
    # what follows the first line is mostly what came of it
    first = next((line.strip() for line in said.splitlines() if line.strip()), None)
    if case is not None:
        what, do = case
    elif first is not None:
        what, do = first, f"See what `ssh {host}` says."
    else:
        what, do = "the connection was lost", "See whether it is still there, and run again."
    return DeviceFailed(what if doing is None else f"{doing}: {what}", where=where, do=do)
