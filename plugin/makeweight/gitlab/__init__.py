"""GitLab and its runner: what happened, and how it is told. Nothing here knows what a model is."""
