"""What can go wrong for the person at the terminal."""


class StackError(Exception):
    """A failure of the local stack; its text says what happened and what to do about it."""
