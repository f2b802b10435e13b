"""Middleware for web servers in Python: each request is timed, and its answer told to an observer."""
