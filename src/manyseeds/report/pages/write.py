"""Write the HTML pages of an experiment: curves.html and provenance.html."""

from collections.abc import Sequence

from manyseeds.analysis.results import ResultsFolder, read_files
from manyseeds.core.manifest import write_manifest
from manyseeds.report.command import for_each_folder, results_parser
from manyseeds.report.pages.curves import write_page
from manyseeds.report.pages.provenance import write_provenance


def write_pages(folder: ResultsFolder) -> str:
    """Write both pages into the experiment's folder; returns what to print."""
    said = f"{write_page(folder)}\n{write_provenance(folder)}"
    pages = [folder.folder / name for name in ("curves.html", "provenance.html")]
    write_manifest(folder.folder, "pages", pages, read_files(folder))
    return said


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0."""
    arguments = results_parser("pages", __doc__).parse_args(argv)
    return for_each_folder(arguments.results_dir, write_pages)
