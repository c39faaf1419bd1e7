"""The reference, made from the code: keys of a config, verbs, tasks with their columns, and docstrings."""

import ast
import importlib
import inspect
import json
import os
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from manyseeds.cli import GROUPS
from manyseeds.config.loading import schema_text
from manyseeds.core.arguments import parser_of
from manyseeds.core.layout import PACKAGE
from manyseeds.tasks import registry


def pages() -> dict[str, str]:
    """Return every page of the reference by its path below reference/."""
    found = {"config.md": config_page(), "commands.md": commands_page(), "tasks.md": tasks_page()}
    return found | {f"code/{package}.md": package_page(package) for package in packages()}


def packages() -> list[str]:
    """Return the names of the packages below manyseeds."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


# Keys of a config.


def config_page() -> str:
    """Return the page of all keys of an experiment file."""
    schema = json.loads(schema_text())
    lines = [
        "# Keys of config.yaml",
        "",
        "Every key with its default. [config.yaml](../../config.yaml) explains how to use them, and"
        " [trainers.md](../trainers.md) the keys of an external trainer. `manyseeds config FILE` checks a file.",
    ]
    lines += ["", "## At the top", "", *_keys(schema, schema["properties"], "", schema["required"])]
    for name, field in schema["properties"].items():
        if below := _below(schema, field):
            lines += ["", f"## {name}", "", f"{_sentence(field['description'])}", ""]
            lines += _keys(schema, below, f"{name}.", ())
    variant = schema["$defs"]["VariantChoice"]
    lines += ["", "## A variant", "", variant["description"], "", *_keys(schema, variant["properties"], "", ())]
    return "\n".join([*lines, ""])


def _keys(schema: dict[str, Any], found: dict[str, Any], prefix: str, required: Any) -> list[str]:
    rows = []
    for name, field in found.items():
        if _below(schema, field) and not prefix:
            default = f"[below](#{name})"
        elif name in required:
            default = "required"
        elif "default" in field:
            default = f"`{json.dumps(field['default'])}`"
        else:
            default = ""
        description = field.get("description", "")
        rows.append((f"`{prefix}{name}`", _cell(description), _cell(_allowed(schema, field)), _cell(default)))
    return _table(("key", "meaning", "allowed", "default"), rows)


def _below(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    """Return the keys below a key; none for a key that holds a value."""
    for choice in (field, *field.get("anyOf", ())):
        if "$ref" in choice:
            target = schema["$defs"][choice["$ref"].rsplit("/", 1)[1]]
            return target.get("properties") or _below(schema, target)
        if "properties" in choice:
            return choice["properties"]
    return {}


def _allowed(schema: dict[str, Any], field: dict[str, Any]) -> str:
    if choices := field.get("anyOf"):
        return " or ".join(_allowed(schema, choice) for choice in choices)
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const'] or json.dumps('')}`"
    if "$ref" in field:
        return "a mapping"
    kind = field.get("type", "anything")
    if kind == "array":
        return f"a list: {_allowed(schema, field['items'])}"
    names = {"integer": "whole number", "number": "number", "string": "text", "object": "a mapping",
             "boolean": "`true`, `false`", "null": "`null`"}  # fmt: skip
    limits = [
        text.format(field[key])
        for key, text in (("minimum", "from {}"), ("exclusiveMinimum", "above {}"), ("maximum", "to {}"))
        if key in field
    ]
    return " ".join([names.get(kind, kind), *limits])


# Verbs.


def commands_page() -> str:
    """Return the page of all verbs with their flags, as `manyseeds VERB --help` prints them."""
    lines = [
        "# Verbs of the command line",
        "",
        "`manyseeds VERB --help` prints what this page shows. Exit codes: 0 done, 1 failed, 2 bad input (one sentence"
        " says what is wrong), 70 a bug in manyseeds (its traceback is in `logs/errors/`), 130 interrupted.",
    ]
    os.environ["COLUMNS"] = "110"  # argparse's width
    for group, verbs in GROUPS.items():
        lines += ["", f"## {group.capitalize()}"]
        for verb, (module, summary) in verbs.items():
            parser = parser_of(importlib.import_module(f"manyseeds.{module}").main)
            lines += ["", f"### manyseeds {verb}", "", _sentence(summary), "", "```text", parser.format_help().rstrip()]
            lines += ["```"]
    return "\n".join([*lines, ""])


# Tasks.


def tasks_page() -> str:
    """Return the page of the built-in tasks: columns of episodes.csv, observations, rewards, numbers."""
    lines = [
        "# Tasks and their columns",
        "",
        "The columns of `episodes.csv` come from the task's description; [What is in a results"
        " folder](../../results/README.md) explains all other files.",
        "",
        "Numbers can be changed under `task: {overrides: ...}`; a reward's weight is `<reward>_weight`.",
    ]
    for name in registry.names():
        if not registry.is_built_in(name):
            continue
        task = registry.load(name)
        told, cfg = task.description, task.cfg()
        lines += ["", f"## {name}", "", _sentence(told.summary or name), "", "**Columns of episodes.csv**", ""]
        rows = [("`iteration`", "", "checkpoint"), ("`episode`", "", "number of the episode, from 0")]
        rows += [(f"`{start.name}`", start.unit, f"start: {start.title}") for start in told.starts]
        rows += [
            (f"`{outcome.name}`", "0 or 1" if outcome.kind == "share" else outcome.unit, outcome.meaning)
            for outcome in told.outcomes
        ]
        rows += [("`return`", "", "sum of the rewards of an episode")]
        lines += _table(("column", "unit", "meaning"), rows)
        lines += ["", "**Observations**", ""]
        lines += _table(
            ("observation", "numbers", "unit"),
            [(f"`{key}`", str(term.width), term.unit) for key, term in task.observations.items()],
        )
        lines += ["", "**Rewards**", ""]
        lines += _table(
            ("reward", "weight"), [(f"`{key}`", f"{getattr(cfg, f'{key}_weight'):g}") for key in task.rewards]
        )
        lines += ["", f"**Terminations**: {', '.join(f'`{end}`' for end in task.termination_names)}.", ""]
        lines += ["**Numbers**", ""]
        lines += _table(
            ("number", "default"), [(f"`{field.name}`", f"`{getattr(cfg, field.name)}`") for field in fields(cfg)]
        )
    return "\n".join([*lines, ""])


# Docstrings.


def package_page(package: str) -> str:
    """Return the page of a package: the docstrings of its modules, and of their public functions and classes."""
    folder = PACKAGE / package
    lines = [f"# manyseeds.{package}"]
    for path in sorted(folder.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = ast.get_docstring(tree)
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if path.parent == folder and path.name == "__init__.py":
            lines += ["", told or ""]
        else:
            lines += ["", f"## {name}", "", told or ""]
        lines += _members(tree, "", 3)
    return "\n".join([*lines, ""])


def _members(tree: ast.Module | ast.ClassDef, owner: str, level: int) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            told = ast.get_docstring(node)
            if told is None:
                continue
            yield from ("", f"{'#' * level} {owner}{node.name}", "", "```python", _signature(node), "```", "")
            yield from _google(told)
            if isinstance(node, ast.ClassDef):
                yield from _members(node, f"{node.name}.", level + 1)


def _signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    decorators = [f"@{ast.unparse(name)}\n" for name in node.decorator_list if ast.unparse(name) != "staticmethod"]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = ast.unparse(node.args)
    if len(arguments) + len(node.name) > 90:
        pieces = [ast.unparse(piece) for piece in _split(node.args)]
        arguments = "\n    " + ",\n    ".join(piece for piece in pieces if piece) + ",\n"
    return f"{''.join(decorators)}def {node.name}({arguments}){returns}"


def _split(arguments: ast.arguments) -> Iterator[ast.arguments]:
    """Yield each argument as arguments of its own."""

    def one(**kinds: Any) -> ast.arguments:
        none = {"posonlyargs": [], "args": [], "kwonlyargs": [], "kw_defaults": [], "defaults": []}
        return ast.arguments(**none | kinds)

    ordinary = [*arguments.posonlyargs, *arguments.args]
    without = len(ordinary) - len(arguments.defaults)
    for number, name in enumerate(ordinary):
        yield one(args=[name], defaults=arguments.defaults[number - without :][:1] if number >= without else [])
    if arguments.vararg:
        yield one(vararg=arguments.vararg)
    for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield one(args=[name], defaults=[default] if default else [])
    if arguments.kwarg:
        yield one(kwarg=arguments.kwarg)


def _google(told: str) -> Iterator[str]:
    """Yield a docstring in Google's style as Markdown: its sections become lists."""
    blocks = re.split(r"^(Args|Arguments|Attributes|Raises|Returns|Yields):\n", inspect.cleandoc(told), flags=re.M)
    yield _quoted(blocks[0].rstrip())
    for section, body in zip(blocks[1::2], blocks[2::2], strict=True):
        entries, _, rest = body.partition("\n\n")
        yield from ("", f"**{section}**", "")
        if section in ("Returns", "Yields"):
            yield _quoted(textwrap.dedent(entries))
        else:
            for entry in re.split(r"\n(?=\S)", textwrap.dedent(entries)):
                name, colon, meaning = " ".join(entry.split()).partition(": ")
                yield f"- `{name}`: {_quoted(meaning)}" if colon else f"- {_quoted(name)}"
        if rest.strip():
            yield from ("", _quoted(textwrap.dedent(rest).rstrip()))


# Markdown.


def _quoted(text: str) -> str:
    """Return text of a docstring in which Markdown sees neither HTML nor links."""
    pieces = re.split(r"(`[^`]*`|^    .*$)", text, flags=re.M)
    return "".join(piece if piece[:1] in ("`", " ") else re.sub(r"([<\[*_])", r"\\\1", piece) for piece in pieces)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
