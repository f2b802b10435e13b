"""What GitHub and GitLab have in common: a REST API that is asked with patience. Nothing here knows what is told."""
