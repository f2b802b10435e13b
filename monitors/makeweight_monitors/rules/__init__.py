"""From the budget that gated the merge to what Prometheus records and when it alerts."""
