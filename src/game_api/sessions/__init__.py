"""Sessions: the seats, and who is in them."""
