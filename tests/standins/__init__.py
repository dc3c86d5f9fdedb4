"""Stand-ins for services that cannot run on a test machine, one file of standard library each, so that a
cluster can run them too.
"""
