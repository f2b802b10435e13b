"""A model on disk and its manifest."""
