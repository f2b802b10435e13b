"""What is told on GitHub when a canary's trial is over: a file for each thing."""
