"""The DVC pipeline of a project: its stages, put into dvc.yaml without touching what is the user's."""
