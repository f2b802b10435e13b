"""Measuring: the probe that runs on a device, and what turns its raw samples into measurements."""
