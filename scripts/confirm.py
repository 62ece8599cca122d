"""What scripts have in common that change something in an account: a question before, and a kind of error that changed nothing."""

import sys


class Mistake(Exception):
    """Something that the operator must correct. Nothing has been changed."""


def ask(question, yes):
    """Asks on the terminal, unless `yes`. Raises a Mistake if the answer is no, or nobody is there to answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Mistake("Nothing was changed: this is not a terminal. Give YES=1 to go ahead without a question.")
    if input(f"{question} [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Mistake("Nothing was changed.")
