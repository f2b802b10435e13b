"""Runtimes: what variants ship on. They stay at home; what opens a model on a device is the probe's."""
