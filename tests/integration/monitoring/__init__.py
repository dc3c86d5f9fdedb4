"""Monitoring on the real ledger: tables, functions, tasks, pipeline."""
