"""Pure parts of the worker side: no network, no process."""
