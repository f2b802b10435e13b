"""From the budget that gated the merge to what Grafana shows, and to the alerts as Grafana manages them."""
