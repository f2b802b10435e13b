"""Two model files beside each other: what they are fed with, what the times say, and how it is told."""
