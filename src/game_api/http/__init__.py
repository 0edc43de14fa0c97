"""HTTP: what all endpoints share; no feature is known here."""
