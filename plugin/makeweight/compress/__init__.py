"""Compression: one file per technique, and the recipe that puts them in order."""
