"""What runs in a model repository and in CI: compress, measure, decide, report."""

__version__ = "0.1.0"
