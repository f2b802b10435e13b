"""How a process ended."""

from __future__ import annotations

import signal


def ended(code: int) -> str:
    """By its return code, negative for a signal: `exit code 3`, `signal SIGKILL`; by number one that has no name."""
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name if -code in set(signal.Signals) else -code}"
