"""Draw the figures of an experiment from its CSV files, as PNG, SVG and PDF, each with its caption."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from manyseeds.errors import UserError
from manyseeds.figures import NAMES, curves, profiles, style, success, throughput, workspace
from manyseeds.figures.data import Data
from manyseeds.files import write_atomic
from manyseeds.results import Experiment, find_experiments, print_notes

FIGURES: dict[str, Callable[[Data], tuple[Figure, str]]] = {
    function.__name__: function
    for function in (
        curves.learning_curves,
        curves.learning_curves_wall_clock,
        curves.reward_terms,
        curves.reward_terms_wall_clock,
        success.success_per_checkpoint,
        success.final_success,
        profiles.performance_profile,
        profiles.time_to_threshold,
        workspace.failure_map,
        throughput.throughput,
    )
}


def draw(experiment: Experiment, names: Sequence[str] = NAMES) -> list[Path]:
    """Draw figures of one experiment into its folder `figures/`.

    Args:
        experiment: its runs; a figure for which data are missing says so in its panels.
        names: which figures.

    Returns:
        The paths written: `<name>.png`, `.svg`, `.pdf` and the caption `.rst` of each figure.

    Raises:
        UserError: when an input file is malformed.
    """
    data = Data(experiment)
    paths = []
    for name in names:
        stem = experiment.folder / "figures" / name
        with style.applied():
            figure, caption = FIGURES[name](data)
            paths += style.save(figure, stem, name.replace("_", " "), data.description)
        paths.append(stem.with_suffix(".rst"))
        with write_atomic(paths[-1]) as partial:
            partial.write_text(f"{caption}\n", encoding="utf-8")
    return paths


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: draw all figures of every experiment in a results folder."""
    parser = argparse.ArgumentParser(prog="python -m manyseeds.figures", description=__doc__)
    parser.add_argument(
        "results_dir",
        type=Path,
        nargs="?",
        help="an experiment's results folder, or a folder of such folders",
    )
    parser.add_argument("--list", action="store_true", help="print the names of the figures and end")
    arguments = parser.parse_args(argv)
    if arguments.list:
        print("\n".join(NAMES))
        return 0
    if arguments.results_dir is None:
        parser.error("give a results folder, or --list")
    try:
        for experiment in find_experiments(arguments.results_dir):
            print_notes(experiment)
            paths = draw(experiment)
            print(f"{experiment.folder / 'figures'}: {len(paths)} files")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
