"""Decide: rules held against measurements. Pure functions; every outcome comes with the sentence that explains it."""

from makeweight.decide.decision import decide
from makeweight.decide.review import reviewed
from makeweight.decide.terms import Terms
from makeweight.decide.waivers import Waiver

__all__ = ["Terms", "Waiver", "decide", "reviewed"]
