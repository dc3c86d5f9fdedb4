"""Tasks that do what they should not, in real workers: the run's outcome is right, the worker lives, and the
next run notices nothing.
"""
