"""What a canary's traffic is taken from or given by: one file each."""
