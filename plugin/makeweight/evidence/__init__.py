"""All that was measured, and whether it belongs to what is at hand."""
