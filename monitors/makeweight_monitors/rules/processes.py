"""Which series of a process count: it may be scraped twice, or under a new address, and counts once.

That is found out for each process, and not for each of its series, of which there are a hundred times as many.
"""

from __future__ import annotations

from makeweight_monitors.metrics import UP
from makeweight_monitors.rules.promql import block
from makeweight_monitors.rules.terms import Terms

REACH = "5m"
"""How long a process may go without being scraped and still go on from where it was."""
ADDRESS = "model, boot, job, instance"
"""By these a process is told from another, and from itself at another address."""


def scraped(terms: Terms, window: str) -> str:
    """Each process that was scraped within a window, at the address where it was scraped last."""
    up = terms.of(UP.series)
    return block(f"""
        topk by (model, boot) (
          1,
          max by ({ADDRESS}) (timestamp({up}) or max_over_time(timestamp({up})[{window}:1m]))
        )
        """)
