"""What a pipeline's figures are called besides its times; read without arrays."""

from __future__ import annotations

PARTS = {"preprocess": "preprocess_share", "model": "model_share", "postprocess": "postprocess_share"}
"""What each part of a pipeline is called in the probe's arrays, and as a figure."""
SAME_ANSWERS = "same_answers"
