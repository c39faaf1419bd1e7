"""Put an animation into a page of its own, because Snakemake's report shows pages but no GIF."""

import base64
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.core.arguments import verb_parser
from manyseeds.core.files import write_atomic
from manyseeds.core.layout import FILM_PAGE
from manyseeds.core.manifest import check_made, write_manifest
from manyseeds.report.templates import render_html


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: write the page of one GIF."""
    parser = verb_parser("film-page", __doc__, "policy.gif --output policy.html")
    parser.add_argument("animation", type=Path, help="a .gif")
    parser.add_argument("--output", type=Path, required=True, help="the .html to write")
    arguments = parser.parse_args(argv)
    check_made(arguments.animation, "film")
    try:
        data = base64.b64encode(arguments.animation.read_bytes()).decode()
    except OSError as error:
        print(f"error: {arguments.animation}: cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    with write_atomic(arguments.output) as partial:
        title = f"Policy of {arguments.animation.parent.name}"
        partial.write_text(render_html("film.html.j2", title=title, description="", gif=data), encoding="utf-8")
    folder, name = arguments.output.parent, arguments.output.name
    write_manifest(folder, "film-page", [arguments.output], [arguments.animation], "" if name == FILM_PAGE else name)
    return 0
