"""The error that the person at the terminal sees."""


class StackError(Exception):
    """A failure of the local stack. Its text says what happened, and what to do."""
