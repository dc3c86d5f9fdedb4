"""What can go wrong, told as a sentence: which thing, what failed, what to do."""


class ClusterError(Exception):
    """A verb cannot be carried out; the message is written for the person who typed it."""
