"""One style of help and errors for all command lines."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


class _Format(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that say something, and the lines of an example as they are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, "", [], ()):
            return action.help
        return super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example:") else super()._fill_text(text, width, indent)


class _Wanted(BaseException):
    """Carries a verb's parser out of its `main`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


class _Parser(argparse.ArgumentParser):
    """Ends with one sentence and exit code 2 when the arguments are wrong."""

    wanted = False
    """Whether `parser_of` asks for the parser, which then parses nothing."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if _Parser.wanted:
            raise _Wanted(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        message = message.replace("unrecognized arguments", "unknown arguments")
        print(f"error: {self.prog}: {message}. See {self.prog} --help.", file=sys.stderr)
        raise SystemExit(2)


def verb_parser(verb: str, summary: str | None, example: str) -> argparse.ArgumentParser:
    """Return the parser of `manyseeds VERB`, to which the verb adds its arguments.

    Args:
        verb: its name.
        summary: what it does; a module's docstring serves.
        example: the arguments of a command that a user may try, or several, one a line.
    """
    lines = [f"  manyseeds {verb} {arguments}".rstrip() for arguments in example.split("\n")]
    return _Parser(
        prog=f"manyseeds {verb}",
        description=summary,
        epilog="\n".join(["example:", *lines]),
        formatter_class=_Format,
        allow_abbrev=False,
    )


def at_least(low: float, kind: type = int) -> Callable[[str], Any]:
    """Return the type of an argument that is a number from `low` on, whole (digits only) unless `kind` is float."""
    whole = kind is int

    def read(text: str) -> Any:
        try:
            value = kind(text) if not whole or (text.isascii() and text.isdigit()) else math.nan
        except ValueError:
            value = math.nan
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} must be a {'whole ' * whole}number of at least {low}")
        return value

    return read


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a flag's text, which commas separate."""
    return tuple(filter(None, text.split(",")))


def parser_of(main: Callable[[Sequence[str]], int]) -> argparse.ArgumentParser:
    """Return the parser with which a verb's `main` reads its arguments; the verb itself does nothing.

    Raises:
        TypeError: when `main` reads no arguments with `verb_parser`.
    """
    _Parser.wanted = True
    try:
        main([])
    except _Wanted as found:
        return found.parser
    finally:
        _Parser.wanted = False
    raise TypeError(f"{main.__module__}.main reads no arguments with verb_parser")
