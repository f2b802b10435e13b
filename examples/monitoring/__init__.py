"""A model server with a canary, what Prometheus sees of the two, and two stories that are told with them."""
