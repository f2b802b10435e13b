"""What every server here does alike: where it listens, who may come in, which bodies are received, how it is scraped
and ends.
"""
