"""makeweight.yaml made sense of: the typed Project that all else reads."""
