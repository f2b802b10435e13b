"""What the user gives: callables, examples, a module; found, loaded, checked, failures told with their line."""
