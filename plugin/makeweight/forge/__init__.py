"""What GitHub and GitLab have in common: the event, and the one comment that is kept."""
