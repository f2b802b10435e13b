"""Evidence that can be checked later: who signed it, if the files are those, if the same decision is reached again."""
