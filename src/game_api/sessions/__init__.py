"""Sessions: a lobby and then a match, with seats for players."""
