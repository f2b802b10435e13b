"""What passed the gate, gathered in one folder, and handed on from there."""
