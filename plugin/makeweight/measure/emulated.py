"""What is said of times and energy where another processor imitates a device's; read without arrays."""

from __future__ import annotations

EMULATED = "the processor is emulated, so neither times nor energy say anything about a real one"
