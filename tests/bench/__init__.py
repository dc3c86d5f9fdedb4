"""Figures: `python -m tests.bench` measures them on servers of its own; docs/measurements.md and
results/summary.json hold the last ones.
"""
