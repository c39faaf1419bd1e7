"""Print what makes bash and zsh complete verbs, flags and their values."""

import argparse
import importlib
from collections.abc import Iterator, Sequence
from shlex import quote

from manyseeds.cli import VERBS
from manyseeds.core.arguments import parser_of, verb_parser
from manyseeds.tasks import registry

SCRIPT = """\
if [ -n "$ZSH_VERSION" ]; then autoload -U +X compinit bashcompinit && compinit && bashcompinit; fi
_manyseeds() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words=
    if [ "$COMP_CWORD" = 1 ]; then
        words={verbs}
    else
        case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
        *) case "${{COMP_WORDS[1]}}" in
{flags}
            esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word" || true))
}}
complete -o default -F _manyseeds manyseeds"""
"""Where no word fits, the shell completes names of files."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    parser = verb_parser(
        "completion", f'{__doc__} Put `eval "$(manyseeds completion)"` into ~/.bashrc or ~/.zshrc.', ""
    )
    parser.parse_args(argv)
    print(script())
    return 0


def script() -> str:
    """Return the text that a shell evaluates."""
    parsers = dict(_parsers())
    values = [
        f"        {quote(f'{verb} {flag}')}) words={quote(' '.join(choices))} ;;"
        for verb, parser in parsers.items()
        for flag, choices in _choices(parser)
    ]
    flags = [f"            {verb}) words={quote(' '.join(_words(parser)))} ;;" for verb, parser in parsers.items()]
    return SCRIPT.format(verbs=quote(" ".join(VERBS)), values="\n".join(values), flags="\n".join(flags))


def _parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for verb, module in VERBS.items():
        try:
            yield verb, parser_of(importlib.import_module(f"manyseeds.{module}").main)
        except ImportError:  # the verb's packages are not installed here
            continue


def _choices(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    """Yield the flags that take one of several values, and these."""
    for action in parser._actions:
        if action.choices:
            yield from ((flag, [str(choice) for choice in action.choices]) for flag in action.option_strings)


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Return what may stand anywhere after the verb: flags, and names where a verb takes a task."""
    words = [flag for action in parser._actions for flag in action.option_strings]
    return words + [name for action in parser._actions if action.dest == "task" for name in registry.names()]
