"""What a verdict comes to on a forge."""

from typing import Literal

Conclusion = Literal["success", "failure", "action_required", "cancelled"]
"""In the words of GitHub's checks."""
