"""Players: the people who take seats in sessions."""
