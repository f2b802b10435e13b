"""What controllers of others are told to ask, where a team lets those decide: Argo Rollouts and Flagger."""
