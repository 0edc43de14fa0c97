"""Chaos: the service under load while commands, processes and clocks fail, and a checker."""
