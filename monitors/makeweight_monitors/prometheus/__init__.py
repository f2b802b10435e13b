"""A Prometheus: asked, fetched, or run for the time of a block."""
