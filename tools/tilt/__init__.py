"""What the Tiltfile needs beside itself: the chart's values for development, and the question whether Rowlock
accepts work.

Invariant: changes nothing in a cluster.
"""
