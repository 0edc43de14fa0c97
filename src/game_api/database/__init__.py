"""The database: its client, credentials, indexes and errors; no feature is known here."""
