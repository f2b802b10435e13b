"""In a Python model server: stable and canary loaded by a pointer, both kept warm, changed without a request lost."""
