"""Real servers for tests: each is started by the test session on ports of its own and ended by it, by process
id.

Invariant: nothing here listens on anything but loopback.
Invariant: a server that was started is stopped, also when the test fails.
"""
