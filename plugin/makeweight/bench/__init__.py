"""Benchmarks: the probe's jobs on a device, as many as it takes."""
