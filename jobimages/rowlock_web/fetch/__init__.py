"""HTTP to hosts that users name: addresses, the one transport, pages and cookies.

Invariant: a host is looked up once, and the connection goes to the address that was checked.
Invariant: a request is sent once; whoever wants to repeat it decides so himself.
Invariant: an answer is read within a bound of bytes and time.
"""
