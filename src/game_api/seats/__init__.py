"""Seats: the protocol that gives each player at most one seat."""
