"""What a task keeps of a model's answers, and what it makes of them: a file for each kind of task."""
