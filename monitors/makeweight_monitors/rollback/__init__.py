"""The controller: from what Prometheus says of a canary to who gets its traffic, decided once, carried out surely."""
