"""What shipped, pushed to a registry as an OCI artifact."""
