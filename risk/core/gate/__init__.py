"""The gate: what an order would do to the rules of its account as if it were filled."""
