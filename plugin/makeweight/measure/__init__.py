"""Measuring: from a model's raw answers and times to measurements."""
