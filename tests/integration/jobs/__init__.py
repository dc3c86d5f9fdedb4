"""The worker against a real PostgreSQL, a real Redis and real child processes."""
