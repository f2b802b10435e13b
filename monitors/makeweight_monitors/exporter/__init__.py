"""The exporter: prediction events of any server in, counters for Prometheus out."""
