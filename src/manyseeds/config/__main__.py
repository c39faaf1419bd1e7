"""Check an experiment file and print or write what it resolves to."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.config.content import check_content
from manyseeds.config.loading import load
from manyseeds.errors import UserError
from manyseeds.files import write_atomic


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 with one sentence for each error."""
    parser = argparse.ArgumentParser(prog="python -m manyseeds.config", description=__doc__)
    parser.add_argument(
        "config",
        nargs="*",
        default=["config.yaml"],
        help="the experiment file (config.yaml); of several, later ones win",
    )
    parser.add_argument("--changes", default="{}", help="JSON that wins over the values of the files")
    parser.add_argument("--output", type=Path, help="write the resolved experiment to this file")
    arguments = parser.parse_args(argv)
    try:
        experiment = load(arguments.config, json.loads(arguments.changes))
        check_content(experiment, arguments.config[-1])
    except UserError as error:
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 2
    if arguments.output is None:
        print(experiment.to_json(), end="")
    else:
        with write_atomic(arguments.output) as partial:
            partial.write_text(experiment.to_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
