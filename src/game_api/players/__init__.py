"""Players: who may take a seat."""
