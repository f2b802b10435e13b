"""A runtime for chains of linear layers, a technique that rounds weights, and a device in another folder."""
