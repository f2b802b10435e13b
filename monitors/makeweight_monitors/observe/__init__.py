"""In a Python model server: what it answers is counted, exactly, and labels find their predictions later."""

from makeweight_monitors.observe.failure import Failure
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.pending import Pending

__all__ = ["Failure", "Observer", "Pending"]
