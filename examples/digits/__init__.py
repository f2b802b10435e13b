"""Handwritten digits: the reference model of this repository."""
