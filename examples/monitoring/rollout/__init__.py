"""A canary that gets more of the traffic step by step, and one that loses it."""
