"""In a Python model server: stable and canary loaded by a pointer, both kept warm, changed without a request lost."""

from makeweight_monitors.serving.breaker import Breaker, Opened
from makeweight_monitors.serving.serving import Arm, Serving

__all__ = ["Arm", "Breaker", "Opened", "Serving"]
