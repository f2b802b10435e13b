"""Runtimes: what variants ship on. `session.py` of each travels to devices; the rest stays at home."""
