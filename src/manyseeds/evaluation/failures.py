"""Films that tell: what the worst seed of a variant fails at, beside what it succeeds in; all seeds on one episode.

The episodes are chosen from episodes.csv. Each is played as the evaluation played it, so that it goes as it went there.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic, write_json
from manyseeds.core.layout import FAILURES_FILM, FILMED, SEED_FOLDER, SEEDS_FILM
from manyseeds.core.manifest import write_manifest
from manyseeds.learning import foreign


def main(argv: Sequence[str] | None = None) -> int:
    """Film what a variant fails at; return 0."""
    parser = verb_parser("film-failures", __doc__, "results/lift_object/default")
    parser.add_argument("variant", type=Path, help="the folder of a variant; the films are written there")
    parser.add_argument(
        "--stand_in",
        type=Path,
        metavar="GIF",
        help="film nothing: write this picture, for a machine without OpenGL or an environment without pandas",
    )
    foreign.add_flag(parser)
    args = parser.parse_args(argv)
    foreign.allow(args.allow_code)
    _write(args)
    return 0


def _write(args: argparse.Namespace) -> None:
    variant = args.variant if args.variant.name else args.variant.resolve()  # "." has no name
    if not variant.is_dir() or not any(SEED_FOLDER.fullmatch(path.name) for path in variant.iterdir()):
        raise UserError(f"{variant} is not the folder of a variant; give one such as results/lift_object/default")
    read, said = _film(variant) if args.stand_in is None else _stand_in(args.stand_in, variant)
    outputs = [variant / name for name in (FAILURES_FILM, SEEDS_FILM, FILMED)]
    write_manifest(variant, "film-failures", outputs, read, stand_in=args.stand_in is not None)
    print("\n".join(said))


def _film(variant: Path) -> tuple[list[Path], list[str]]:
    """Film with the packages of the analysis, which the environment of a simulator may lack."""
    try:
        from manyseeds.evaluation.film_failures import film_variant
    except ModuleNotFoundError as error:
        if str(error.name).startswith("manyseeds"):
            raise
        raise UserError(
            f"films of failures need the package {error.name}, which {sys.executable} does not have; install"
            " manyseeds' own packages there, or film from another environment"
        ) from error
    return film_variant(variant)


def _stand_in(picture: Path, variant: Path) -> tuple[list[Path], list[str]]:
    if picture.suffix != ".gif" or not picture.is_file():
        raise UserError(f"--stand_in is {picture}; it must be a .gif file.")
    names, caption = (FAILURES_FILM, SEEDS_FILM), "No film could be made on this machine."
    for name in names:
        with write_atomic(variant / name) as partial:
            shutil.copyfile(picture, partial)
    write_json(variant / FILMED, {"films": dict.fromkeys(names, caption)})
    return [], [f"{variant}: {caption}"]
