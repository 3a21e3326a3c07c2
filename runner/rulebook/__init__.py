"""Rulebooks of ansible-rulebook: what is in such a file, and what its conditions mean."""
