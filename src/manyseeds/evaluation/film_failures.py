"""Play, draw and describe what the films of `manyseeds film-failures` show; it needs the packages of the analysis."""

import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from manyseeds.analysis.data import Data
from manyseeds.analysis.examples import Examples, examples
from manyseeds.analysis.results import Run, find_results
from manyseeds.config.settings import EvaluateSettings
from manyseeds.core.description import RETURN, Outcome, Start
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_json
from manyseeds.core.layout import CONFIG, FAILURES_FILM, FILMED, PARAMS, SEEDS_FILM, checkpoint_name
from manyseeds.core.record import check_left
from manyseeds.evaluation.evaluate import BATCH, Episodes, evaluate_policy, evaluation_starts, make_evaluation_env
from manyseeds.simulators.film import write_video

if TYPE_CHECKING:
    from manyseeds.simulators.base import TaskEnv
    from manyseeds.tasks.base import Starts

COLUMNS = 3
"""Pictures side by side, and the most episodes that fail."""
MOST_SEEDS = 12
"""More seeds than these are not shown side by side; the worst are."""
SIZE = (200, 150)
"""Pixels of one episode's picture, without the words below it."""
BAR = 22
"""Pixels of the words below a picture."""
GAP = 4
"""White pixels around each episode."""
FPS = 10
MOST_PICTURES = 60
"""A longer episode has fewer pictures a second."""
HOLD_S = 1.5
"""So long the last picture stays."""
COLORS = {None: (70, 70, 70), True: (0, 92, 148), False: (176, 72, 0)}
"""Of the words: no verdict, succeeded, failed; distinct with all common kinds of color blindness."""


@dataclass(frozen=True)
class Cell:
    """One episode of one seed in a film.

    Attributes:
        seed: which seed.
        episode: which episode.
        outcome: what came of it: 0 or 1, or a return.
        pictures: (height, width, 3) uint8 each, from the start to the end.
    """

    seed: int
    episode: int
    outcome: float
    pictures: list[np.ndarray]


class Stage:
    """Plays single episodes of a variant's policies as the evaluation played them, and takes pictures.

    Noise of observations and pushes are drawn anew: the evaluation draws those of all its episodes together.

    Args:
        settings: the evaluation.
        run: one of the variant's runs, for the task and its numbers.
        count: how many episodes the evaluation played.
        outcome: what episodes are judged by.
    """

    def __init__(self, settings: EvaluateSettings, run: Run, count: int, outcome: Outcome) -> None:
        from manyseeds.learning.policy import read_params

        self._rows = min(count, BATCH)
        self._outcome = outcome
        self.env: TaskEnv = make_evaluation_env(
            read_params(run.folder).env,
            num_envs=COLUMNS,
            threads=1,
            overrides=settings.overrides,
            run_dir=run.folder,
        )
        self.starts: Starts = evaluation_starts(self.env, count, settings.seed)
        steps, step_dt = self.env.max_episode_length, self.env.step_dt
        self._stride = max(1, round(1 / (FPS * step_dt)), math.ceil(steps / MOST_PICTURES))
        self.fps = 1 / (self._stride * step_dt)
        cfg = self.env.task_cfg
        noisy = cfg.observation_noise or cfg.push_speed
        self.why_otherwise = "whose noise and pushes were others" if noisy else "which another machine made"

    def close(self) -> None:
        """Free the simulation."""
        self.env.close()

    def play(self, run: Run, checkpoint: Path, episodes: Sequence[int]) -> list[Cell]:
        """Play at most `COLUMNS` episodes with a policy.

        Raises:
            UserError: when the checkpoint is damaged, or this machine cannot draw.
        """
        from manyseeds.learning.policy import Policy, read_params
        from manyseeds.simulators.vec_env import TensorDict

        check_left(checkpoint)
        policy = Policy(
            read_params(run.folder).agent, self.env.get_observations(), self.env.num_actions, device=self.env.device
        )
        policy.parallelize()
        iteration = policy.load(checkpoint)
        filled = [*episodes, *[episodes[0]] * (COLUMNS - len(episodes))]
        places = [episode % self._rows for episode in filled]
        pictures: list[list[np.ndarray]] = [[] for _ in episodes]

        steps = itertools.count()

        def picture() -> None:
            for place, own in enumerate(pictures):
                own.append(self.env.render(place, *SIZE))

        def act(obs: TensorDict) -> Any:
            if next(steps) % self._stride == 0:
                picture()
            # The last bits of a network's output depend on how many rows it has, and on the row.
            batch = TensorDict(
                {key: value.new_zeros(self._rows, *value.shape[1:]) for key, value in obs.items()}, [self._rows]
            )
            batch[places] = obs
            return policy.model(batch)[places]

        played: Episodes = evaluate_policy(self.env, act, iteration, self.starts[filled])
        picture()
        outcome = played.total_reward if self._outcome is RETURN else played.outcomes[self._outcome.name]
        return [
            Cell(run.seed, episode, float(outcome[place]), pictures[place]) for place, episode in enumerate(episodes)
        ]


@dataclass(frozen=True)
class Film:
    """A film and what it shows, in words."""

    name: str
    caption: str
    frames: list[np.ndarray]


def make_films(data: Data, variant: str) -> tuple[Examples, list[Film], float, list[Path]]:
    """Choose and play what the films of a variant show.

    Args:
        data: the experiment.
        variant: one of its variants.

    Returns:
        The episodes, the films, their pictures a second, and the files that were read.

    Raises:
        UserError: when no seed has both its episodes and its last checkpoint, the evaluation was of other episodes than
            config.json says, or this machine cannot draw.
    """
    folder, tables = data.folder, data.final_episodes(variant)
    paths = {run: run.folder / checkpoint_name(int(own["iteration"].iloc[0])) for run, own in tables.items()}
    kept = {run.seed: run for run, path in paths.items() if path.is_file()}
    chosen = examples(data, variant, COLUMNS, list(kept))
    if chosen is None:
        raise UserError(
            f"{folder.folder / variant}: no seed has both the last checkpoint and its episodes in episodes.csv"
        )
    worst = kept[chosen.worst_seed]
    shown = {seed: kept[seed] for seed in list(chosen.rates)[:MOST_SEEDS]}
    with closing(Stage(folder.evaluate, worst, len(tables[worst]), chosen.outcome)) as stage:
        _check_starts(stage, folder.description.starts, worst, tables[worst])
        failing = stage.play(worst, paths[worst], chosen.failing) if chosen.failing else []
        good = kept[chosen.succeeding_seed]
        succeeding = stage.play(good, paths[good], chosen.succeeding) if chosen.succeeding else []
        seeds = [stage.play(run, paths[run], [chosen.shared])[0] for _, run in sorted(shown.items())]
        fps, why = stage.fps, stage.why_otherwise
    of_seeds = f"Policies of {len(kept)} of {len(tables)} seeds are here. " if len(kept) < len(tables) else ""
    is_success = chosen.outcome is not RETURN
    films = [
        Film(
            FAILURES_FILM,
            of_seeds + _failures_caption(chosen) + _otherwise(tables, [*failing, *succeeding], chosen, why),
            _grid([row for row in (failing, succeeding) if row], is_success),
        ),
        Film(
            SEEDS_FILM,
            of_seeds + _seeds_caption(chosen, len(seeds)) + _otherwise(tables, seeds, chosen, why),
            _grid([seeds[at : at + COLUMNS] for at in range(0, len(seeds), COLUMNS)], is_success),
        ),
    ]
    read = [run.episodes for run in tables]
    for run in {worst, good, *shown.values()}:
        read += [paths[run], *(run.folder / name for name in PARAMS)]
    return chosen, films, fps, read


def _check_starts(stage: Stage, starts: Sequence[Start], run: Run, table: pd.DataFrame) -> None:
    """Check that the episodes that are played are those of the evaluation."""
    for start in starts:
        now = stage.starts.columns[start.name].numpy()
        if not np.allclose(now, table[start.name], atol=2e-6):
            raise UserError(
                f"{run.episodes}: its episodes are not those of the evaluation in config.json (evaluate.seed, "
                "evaluate.overrides); evaluate the run again"
            )


def _otherwise(tables: Mapping[Run, pd.DataFrame], cells: Sequence[Cell], chosen: Examples, why: str) -> str:
    """Say how many episodes went otherwise than in episodes.csv, and why."""
    outcomes = {run.seed: table[chosen.outcome.name].to_numpy() for run, table in tables.items()}
    written = [float(outcomes[cell.seed][cell.episode]) for cell in cells]
    other = sum(abs(cell.outcome - was) > 1e-3 * max(1.0, abs(was)) for cell, was in zip(cells, written, strict=True))
    if not other:
        return ""
    return f" {other} of the {len(cells)} episodes went otherwise here than in episodes.csv, {why}."


def _failures_caption(chosen: Examples) -> str:
    outcome, worst = chosen.outcome, chosen.worst_seed
    seeds = len(chosen.rates)
    which = f"seed {worst}, the worst of {seeds}" if seeds > 1 else f"seed {worst}, the only one"
    if outcome is RETURN:
        return (
            f"The task names no success, so episodes are judged by their return. Of {which} (mean return "
            f"{chosen.rates[worst]:.3g}), above: the episodes with the lowest return; below: with the highest."
        )
    rate = f"it succeeds in {100 * chosen.rates[worst]:.4g} % of its episodes"
    meaning = f"Success: {outcome.meaning}."
    if not chosen.failing:
        none = f"no episode of {'any of the ' + str(seeds) + ' seeds' if seeds > 1 else 'the seed'} fails"
        return f"Nothing fails: {none}. Shown are the episodes with the lowest return, of seed {worst}. {meaning}"
    region = f" They start where this seed fails most ({chosen.region}) or closest to it." if chosen.region else ""
    below = " No seed succeeds in any episode."
    if chosen.succeeding:
        who = "it" if chosen.succeeding_seed == worst else f"seed {chosen.succeeding_seed}, the best one,"
        below = f" Below: for each an episode from a similar start in which {who} succeeds."
    return f"Above: episodes that fail, of {which}; {rate}.{region}{below} {meaning}"


def _seeds_caption(chosen: Examples, shown: int) -> str:
    seeds = len(chosen.rates)
    if seeds == 1:
        return f"The only seed, on episode {chosen.shared}."
    every = "Both seeds" if seeds == 2 else f"All {seeds} seeds"
    which = every if shown == seeds else f"The {shown} worst of {seeds} seeds"
    why = "on which they differ most" if chosen.outcome is RETURN or chosen.failed else "with the lowest return"
    return f"{which} on the same episode, number {chosen.shared}, the one {why}."


def _grid(rows: Sequence[Sequence[Cell]], is_success: bool) -> list[np.ndarray]:
    """Rows of episodes as pictures, the words below each, on white."""
    bars = [[_bar(cell, is_success) for cell in row] for row in rows]
    width, height = SIZE[0] + GAP, SIZE[1] + BAR + GAP
    paper = np.full((height * len(rows) + GAP, width * max(map(len, rows)) + GAP, 3), 255, np.uint8)

    def frame(at: int) -> np.ndarray:
        picture = paper.copy()
        for line, (row, words) in enumerate(zip(rows, bars, strict=True)):
            for place, (cell, bar) in enumerate(zip(row, words, strict=True)):
                corner = GAP + line * height, GAP + place * width
                content = np.vstack([cell.pictures[at], bar])
                picture[corner[0] : corner[0] + len(content), corner[1] : corner[1] + SIZE[0]] = content
        return picture

    return [frame(at) for at in range(len(rows[0][0].pictures))]


def _bar(cell: Cell, is_success: bool) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    verdict = bool(cell.outcome) if is_success else None
    words = ("succeeds" if verdict else "fails") if is_success else f"return {cell.outcome:.4g}"
    bar = Image.new("RGB", (SIZE[0], BAR), COLORS[verdict])
    draw = ImageDraw.Draw(bar)
    draw.fontmode = "1"  # no smooth edges: fewer colors, and the same pixels everywhere
    text = f"seed {cell.seed}, episode {cell.episode}: {words}"
    draw.text((5, 1), text, font=ImageFont.load_default(14), fill=(255, 255, 255))
    return np.asarray(bar)


def film_variant(variant: Path) -> tuple[list[Path], list[str]]:
    """Write both films of a variant and the JSON file that says what they show.

    Args:
        variant: its folder.

    Returns:
        The files that were read, and a line for each film.

    Raises:
        UserError: when the folder is no variant of an experiment, or from `make_films`.
    """
    folder = variant.parent
    found = next((found for found in find_results(folder) if found.folder == folder), None)
    if found is None or variant.name not in found.variants:
        raise UserError(f"{variant} is no variant that {folder / CONFIG} names")
    chosen, films, fps, read = make_films(Data(found), variant.name)
    for film in films:
        hold = [film.frames[-1]] * round(HOLD_S * fps)
        write_video(variant / film.name, [*film.frames, *hold], fps)
    content = {
        "films": {film.name: film.caption for film in films},
        "iteration": chosen.iteration,
        "outcome": chosen.outcome.name,
        "seeds": {str(seed): rate for seed, rate in chosen.rates.items()},
        "failing": {"seed": chosen.worst_seed, "region": chosen.region, "episodes": list(chosen.failing)},
        "succeeding": {"seed": chosen.succeeding_seed, "episodes": list(chosen.succeeding)},
        "all_seeds": {"episode": chosen.shared},
    }
    write_json(variant / FILMED, content)
    return read, [f"{variant / film.name}: {film.caption}" for film in films]
