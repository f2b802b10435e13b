"""A Prometheus: asked, or run for the time of a block."""
