"""What the generated rules are tried on, written for promtool; loaded when that is, and at no other time."""
