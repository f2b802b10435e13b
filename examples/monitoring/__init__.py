"""A model server with a canary in its shadow, and what Prometheus sees of the two."""
