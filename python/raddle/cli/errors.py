"""What a command raises when it can't do what was asked."""


class CommandError(Exception):
    """Something stands in the way of a command; the message is one line that names it and the cure."""
