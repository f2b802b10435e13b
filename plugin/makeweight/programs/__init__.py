"""Programs that time a model where there is no Python: how each is called, and what it prints. One file per program."""
