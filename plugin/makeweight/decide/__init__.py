"""Decide: rules held against measurements. Pure functions; every outcome comes with the sentence that explains it."""

from makeweight.decide.decision import decide
from makeweight.decide.terms import Terms, quality_metric

__all__ = ["Terms", "decide", "quality_metric"]
