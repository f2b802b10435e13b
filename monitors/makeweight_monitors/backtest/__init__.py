"""Rules held against the past: what was recorded, replayed through them, and when each alert would have fired."""
