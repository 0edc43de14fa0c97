"""Applies the configurations to a simulated AWS, changes what was created, and destroys it."""
