"""Write the HTML pages of an experiment: curves.html and provenance.html."""

from collections.abc import Sequence

from manyseeds.report.pages import curves, provenance


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after an error that the user can correct."""
    return max(curves.main(argv), provenance.main(argv))
