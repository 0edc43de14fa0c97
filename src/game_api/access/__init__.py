"""Who may do what: tokens, roles, permissions, rate limits and idempotency keys."""
