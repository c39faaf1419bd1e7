"""Results folders of made-up but plausible learning: logistic success curves, CSV files and config.json only."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from manyseeds.config.conditions import conditions
from manyseeds.core.description import RETURN, Description, Outcome, Start
from manyseeds.tasks.lift_object.description import DESCRIPTION

REWARD_TERMS = {
    "reaching_object": 0.7,
    "lifting_object": 11.0,
    "object_goal_tracking": 9.5,
    "object_goal_tracking_fine_grained": 2.1,
    "action_rate": -0.006,
    "joint_vel": -0.02,
}
NUM_ENVS = 512
SAMPLES_PER_ITERATION = NUM_ENVS * 24


def logistic(x: np.ndarray, middle: float, width: float) -> np.ndarray:
    """Rise from 0 to 1 around `middle`."""
    return 1 / (1 + np.exp(-(x - middle) / width))


def make_scalars(iterations: int, seed: int, final: float = 0.97, middle: float = 0.4) -> pd.DataFrame:
    """The curves of one run that climbs to the success `final`, `middle` (0 to 1) of the way through."""
    random = np.random.default_rng(seed)
    steps = np.arange(1, iterations + 1)
    progress = steps / iterations
    middle = middle + random.normal(0, 0.05)
    success = final * logistic(progress, middle + 0.1, 0.05)
    table = pd.DataFrame({"iteration": steps})
    table["Loss/value"] = 0.2 * np.exp(-3 * progress) + random.uniform(0, 0.01, iterations)
    table["Loss/learning_rate"] = 1e-3
    table["Policy/mean_std"] = 1 - 0.6 * progress
    collection = 0.9 + random.normal(0, 0.02, iterations) + 0.1 * (seed % 3)
    learning = 0.35 + random.normal(0, 0.01, iterations)
    table["Perf/total_fps"] = (SAMPLES_PER_ITERATION / (collection + learning)).astype(int)
    table["Perf/collection_time"] = collection
    table["Perf/learning_time"] = learning
    total = np.zeros(iterations)
    for place, (term, height) in enumerate(REWARD_TERMS.items()):
        curve = height * logistic(progress, middle - 0.15 + 0.05 * place, 0.05)
        curve *= 1 + random.normal(0, 0.05, iterations)
        table[f"Episode_Reward/{term}"] = curve / 5
        total += curve
    table["Train/mean_reward"] = total + random.normal(0, 0.3, iterations)
    # Training logs the return only once an episode has ended.
    table.loc[: max(0, min(9, iterations // 10)), "Train/mean_reward"] = np.nan
    table["Metrics/success_rate"] = np.clip(success + random.normal(0, 0.03, iterations), 0, 1)
    table["Metrics/object_pose/position_error"] = 0.35 * (1 - success) + 0.02
    return table.astype({column: np.float32 for column in table.columns if column != "iteration"})


def make_episodes(
    checkpoints: Sequence[int], episodes: int, seed: int, final: float = 0.97, last: int | None = None
) -> pd.DataFrame:
    """Evaluation of every checkpoint on the same episodes; far targets fail more often."""
    starts = np.random.default_rng(0)
    object_xy = np.array([0.5, 0.0]) + starts.uniform([-0.1, -0.25], [0.1, 0.25], (episodes, 2))
    target = starts.uniform([0.4, -0.25, 0.25], [0.6, 0.25, 0.5], (episodes, 3))
    hardness = np.abs(object_xy[:, 1]) / 0.25 * 0.5 + (target[:, 2] - 0.25) / 0.25 * 0.5
    random = np.random.default_rng(seed + 1000)
    last = last or max(checkpoints)
    tables = []
    for iteration in checkpoints:
        rate = final * logistic(np.array(iteration / last), 0.5 + 0.02 * (seed % 4), 0.08)
        share = np.clip(rate + (0.5 - hardness) * 0.25 * (1 - rate), 0, 1)
        reached = random.random(episodes) < share if 0 < final < 1 else np.full(episodes, final == 1)
        held = reached & (random.random(episodes) < (0.97 if final < 1 else 1.0))
        distance = np.where(held, random.uniform(0.003, 0.045, episodes), random.uniform(0.06, 0.5, episodes))
        tables.append(
            pd.DataFrame(
                {
                    "iteration": iteration,
                    "episode": np.arange(episodes),
                    "object_x": object_xy[:, 0],
                    "object_y": object_xy[:, 1],
                    "target_x": target[:, 0],
                    "target_y": target[:, 1],
                    "target_z": target[:, 2],
                    "reached": reached.astype(int),
                    "held": held.astype(int),
                    "dropped": (~reached & (random.random(episodes) < 0.05)).astype(int),
                    "first_reached_s": np.where(reached, random.normal(1.6, 0.2, episodes), np.nan),
                    "final_distance": distance,
                    "return": 20 * share + random.normal(0, 1, episodes),
                }
            )
        )
    table = pd.concat(tables, ignore_index=True)
    # A column that lift_object gets needs no edit here.
    for outcome in DESCRIPTION.outcomes:
        if outcome.name not in table:
            drawn = random.random(len(table))
            table[outcome.name] = (drawn < 0.5).astype(int) if outcome.kind == "share" else drawn
    return table[list(DESCRIPTION.columns)]


def make_results(
    folder: Path,
    variants: Sequence[str] = ("default",),
    seeds: Sequence[int] = (42, 43, 44),
    iterations: int = 60,
    save_interval: int = 10,
    episodes: int = 50,
    finals: Sequence[float] = (0.97, 0.9, 0.75, 0.6),
    spread: float = 0.0,
    **fields: object,
) -> Path:
    """Write `<variant>/seed_<seed>/scalars.csv` and `episodes.csv`, the aggregated learning_curves.csv and config.json.

    Args:
        folder: to make.
        variants: their names.
        seeds: of every variant.
        iterations: of every run.
        save_interval: iterations between two checkpoints.
        episodes: of every checkpoint.
        finals: the success that each variant ends at.
        spread: standard deviation over seeds of the logit of that success; 0 takes a few points off instead.
        fields: more of config.json.

    Returns:
        The experiment's folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    aggregated = []
    for place, variant in enumerate(variants):
        final = finals[place % len(finals)]
        for seed in seeds:
            run = folder / variant / f"seed_{seed}"
            run.mkdir(parents=True)
            own = final - 0.02 * (seed % 3) if 0 < final < 1 and not spread else final
            if spread:
                own = float(expit(logit(final) + np.random.default_rng([seed, place]).normal(0, spread)))
            scalars = make_scalars(iterations, seed + 100 * place, own, 0.35 + 0.08 * place)
            scalars.to_csv(run / "scalars.csv", index=False)
            checkpoints = [*range(save_interval, iterations, save_interval), iterations]
            make_episodes(checkpoints, episodes, seed + 100 * place, own).to_csv(run / "episodes.csv", index=False)
        steps = np.arange(1, iterations + 1)
        aggregated.append(
            pd.DataFrame(
                {
                    "variant": variant,
                    "tag": "Train/mean_reward",
                    "iteration": steps,
                    "samples": steps * SAMPLES_PER_ITERATION,
                    "n": len(seeds),
                }
            )
        )
    pd.concat(aggregated).to_csv(folder / "learning_curves.csv", index=False)
    write_config(folder, variants, seeds, **fields)
    return folder


def write_config(
    folder: Path,
    variants: Sequence[str],
    seeds: Sequence[int],
    description: Description | None = DESCRIPTION,
    **fields: object,
) -> None:
    """Write a config.json with what tables, figures and pages read of it; without a description if it is None."""
    content: dict[str, object] = {"variants": {variant: {} for variant in variants}, "seeds": list(seeds), **fields}
    if description is not None:
        content["description"] = description.to_dict()
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")


def add_factors(folder: Path, factors: Mapping[str, Sequence[Any]], seed: int = 0) -> None:
    """Write a factors.csv for every run of `make_results`: the more a condition changes, the less succeeds."""
    config = json.loads((folder / "config.json").read_text())
    config["evaluate"] = {**config.get("evaluate", {}), "factors": factors}
    (folder / "config.json").write_text(json.dumps(config))
    for run in sorted(folder.glob("*/seed_*")):
        episodes = pd.read_csv(run / "episodes.csv")
        last = episodes[episodes["iteration"] == episodes["iteration"].max()]
        random = np.random.default_rng([seed, int(run.name.removeprefix("seed_"))])
        rows = []
        for place, own in enumerate(conditions(factors)):
            kept = random.random(len(last)) > 0.06 * place
            row: dict[str, object] = {
                "condition": own.name,
                "factor": own.factor,
                "value": json.dumps(own.value) if own.factor else "",
                "iteration": last["iteration"].iloc[0],
                "episodes": len(last),
            }
            for outcome in (*DESCRIPTION.outcomes, RETURN):
                numbers = last[outcome.name]
                if outcome.kind == "share":
                    row[outcome.name] = int((numbers * (kept if outcome.better == "higher" else 1)).sum())
                else:
                    row[f"{outcome.name}_mean"] = numbers.mean()
            rows.append(row)
        pd.DataFrame(rows).to_csv(run / "factors.csv", index=False)


DOCKING = Description(
    starts=(Start("current", "current", "m/s"), Start("bearing", "bearing", "deg")),
    outcomes=(
        Outcome("docked", "Docked", "share", "the boat touched the pier softly"),
        Outcome("docking_time", "Docking time", "measure", "when the boat touched the pier", "s", "lower"),
        Outcome("fuel", "Fuel", "measure", "what the engine burnt", "kg", "lower"),
    ),
)
"""A task with other outcomes than those of this package, and no maps."""


def make_docking(folder: Path, seeds: Sequence[int] = (1, 2, 3), variants: Sequence[str] = ("calm", "windy")) -> Path:
    """Write the results of `DOCKING`; returns the experiment's folder."""
    starts = np.random.default_rng(7).uniform(0.1, 1, (40, 2))
    for place, variant in enumerate(variants):
        for seed in seeds:
            run = folder / variant / f"seed_{seed}"
            run.mkdir(parents=True)
            make_scalars(30, seed).to_csv(run / "scalars.csv", index=False)
            random = np.random.default_rng([seed, place])
            tables = []
            for iteration in (10, 20, 30):
                docked = random.random(40) < iteration / (35 + 10 * place)
                columns = {
                    "iteration": iteration,
                    "episode": np.arange(40),
                    "current": starts[:, 0],
                    "bearing": 90 * starts[:, 1],
                    "docked": docked.astype(int),
                    "docking_time": np.where(docked, random.uniform(5, 9, 40), np.nan),
                    "fuel": random.lognormal(0, 2, 40),
                    "return": random.normal(size=40),
                }
                tables.append(pd.DataFrame(columns))
            pd.concat(tables).to_csv(run / "episodes.csv", index=False)
    write_config(folder, variants, seeds, DOCKING)
    return folder


def make_external(folder: Path, seeds: Sequence[int] = (1, 2, 3), *, success: str = "Metrics/success_rate") -> Path:
    """Write the results of another trainer, which logs scalars and whose checkpoints are not evaluated."""
    for seed in seeds:
        for variant, final in (("base", 0.9), ("wide", 0.7)):
            run = folder / variant / f"seed_{seed}"
            run.mkdir(parents=True)
            make_scalars(50, seed, final).to_csv(run / "scalars.csv", index=False)
    reward = "Train/mean_reward"
    outcomes = [Outcome("return", "Return", "measure", "the return that stranger logs", tag=reward)]
    if success:
        outcomes.insert(0, Outcome("success", "Success", "share", "the success that stranger logs", tag=success))
    trainer = {"name": "stranger", "scalars": {"reward": reward, "success": success}}
    write_config(folder, ("base", "wide"), seeds, Description(outcomes=tuple(outcomes)), trainer=trainer)
    return folder
