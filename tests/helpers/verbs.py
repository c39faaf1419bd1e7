"""Verbs of the command line as a user calls them, but in this process."""

from collections.abc import Callable, Sequence

from manyseeds import cli


def verb(name: str) -> Callable[[Sequence[str]], int]:
    """Return a function that takes a verb's arguments and returns its exit code."""
    return lambda arguments: cli.main([name, *arguments])
