"""The report: a verdict and what was measured, rendered for terminal, pull request, browser and DVC. Pure."""
