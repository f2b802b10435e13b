"""Devices: where measurements are made. One file per way to reach one."""
