"""The verbs: each reads what it needs, calls the parts that think, and writes what they made."""
