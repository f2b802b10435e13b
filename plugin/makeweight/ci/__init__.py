"""Continuous compression: what a change is held against, what is made and measured for it, what is decided."""
