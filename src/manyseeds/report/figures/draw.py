"""Draw the figures of an experiment from its CSV files, as PNG, SVG and PDF, each with its caption."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from manyseeds.analysis.data import Data
from manyseeds.analysis.results import BANDS, Experiment
from manyseeds.core.files import write_atomic
from manyseeds.report.command import for_each_experiment, results_parser
from manyseeds.report.figures import NAMES, curves, profiles, style, success, throughput, workspace

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


def draw(experiment: Experiment, names: Sequence[str] = NAMES, band: str | None = None) -> list[Path]:
    """Draw figures of one experiment into its folder `figures/`.

    Args:
        experiment: its runs; a figure for which data are missing says so in its panels.
        names: which figures.
        band: the band of the curves, one of `BANDS`; None takes the experiment's.

    Returns:
        The paths written: `<name>.png`, `.svg`, `.pdf` and the caption `.rst` of each figure.

    Raises:
        UserError: when an input file is malformed.
    """
    data = Data(experiment, band)
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
    parser = results_parser("figures", __doc__)
    parser.add_argument(
        "--band",
        choices=BANDS,
        help="what the bands of the curves cover with 95 %%: the mean at each point, or the whole mean curve at once "
        "(default: what config.json in the folder says, else pointwise)",
    )
    arguments = parser.parse_args(argv)

    def work(experiment: Experiment) -> str:
        paths = draw(experiment, band=arguments.band)
        return f"{experiment.folder / 'figures'}: {len(paths)} files"

    return for_each_experiment(arguments.results_dir, work)
