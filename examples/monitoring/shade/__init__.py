"""A canary in the shadow of a stable model, until the light changes."""
