"""What every part of makeweight stands on: errors, the command line, whole writes, YAML with lines, progress."""
