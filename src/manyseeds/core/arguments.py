"""One style of help and errors for all command lines."""

import argparse
import sys
from typing import NoReturn


class _Format(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that say something, and the lines of an example as they are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, "", []):
            return action.help
        return super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example:") else super()._fill_text(text, width, indent)


class _Parser(argparse.ArgumentParser):
    """Ends with one sentence and exit code 2 when the arguments are wrong."""

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
