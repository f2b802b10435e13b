"""Which of several controllers acts: the one that has the lease, of a kind for each file."""
