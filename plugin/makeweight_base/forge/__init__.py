"""How a forge is spoken to: with patience, in texts that it takes, and with marks by which ours are found again."""
