"""A model check: every interleaving of a few writers, with crashes and lost responses."""
