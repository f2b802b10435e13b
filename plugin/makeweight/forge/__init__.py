"""What GitHub and GitLab have in common: the event, a REST API asked with patience, the one comment that is kept."""
