"""makeweight.yaml: its shape, what is wrong with one, and its JSON Schema."""
