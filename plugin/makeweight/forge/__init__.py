"""What GitHub and GitLab have in common: the event, what a verdict comes to, remarks on lines, the one comment."""
