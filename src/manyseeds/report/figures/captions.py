"""Sentences that several captions share."""

from collections.abc import Sequence

import pandas as pd

from manyseeds.analysis.data import Data
from manyseeds.analysis.estimates import failure_sentences
from manyseeds.core.description import Outcome, Start


def label(item: Outcome | Start) -> str:
    """The name of a column on an axis, with its unit."""
    unit = "%" if isinstance(item, Outcome) and item.kind == "share" else item.unit
    return item.title[0].lower() + item.title[1:] + (f" ({unit})" if unit else "")


def meaning(data: Data, outcomes: Sequence[Outcome]) -> str:
    """What rates are of: checkpoints on evaluation episodes, or the end of training."""
    if data.folder.evaluated:
        sentences = "; ".join(f"{outcome.title}: {outcome.meaning}" for outcome in outcomes)
        return f"Deterministic policy, on {episodes(data)} evaluation episodes. {sentences}."
    tags = ", ".join(outcome.tag for outcome in outcomes)
    return (
        f"Training, not an evaluation: what {data.folder.trainer} logs ({tags}), mean over the end of each run. Its "
        "checkpoints are not evaluated here."
    )


def no_episodes(data: Data) -> str:
    """Why there are no evaluation episodes."""
    if data.folder.evaluated:
        return "No run has an episodes.csv."
    return f"Checkpoints of {data.folder.trainer} are not evaluated here."


def no_success(data: Data) -> str:
    """Why a figure of success is empty: no numbers, or no outcome that is a share; "" where it is not."""
    if data.folder.evaluated and not data.episodes:
        return no_episodes(data)
    if data.successes:
        return ""
    sentence = "No outcome of this experiment is a success rate."
    return sentence if data.folder.evaluated else f"{sentence} {no_episodes(data)}"


def seeds_in(data: Data, table: pd.DataFrame) -> dict[str, list[int]]:
    """The seeds that a table of rates has, by variant; variants without any are left out."""
    return {
        variant: sorted({int(seed) for seed in table.loc[table["variant"] == variant, "seed"]})
        for variant in data.variants
        if (table["variant"] == variant).any()
    }


def counts(data: Data, seeds: dict[str, list[int]]) -> str:
    """Say how many seeds, and which, each variant contributes.

    Args:
        data: the experiment.
        seeds: the seeds that the figure draws, by variant.
    """
    parts = []
    for variant in data.variants:
        own = sorted(seeds.get(variant, []))
        lost = sorted(seed for name, seed in data.folder.missing if name == variant)
        without = f"; no results of {_seeds(lost)}" if lost else ""
        if own:
            parts.append(f"{variant} n = {len(own)} ({_seeds(own)}{without})")
        else:
            parts.append(f"{variant} n = 0 (no data)")
    return "; ".join(parts) + "."


def _seeds(numbers: list[int]) -> str:
    return f"{'seed' if len(numbers) == 1 else 'seeds'} {_ranges(numbers)}"


def _ranges(numbers: list[int]) -> str:
    """Numbers as text, runs of three and more shortened: 1 to 10, 42."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(f"{group[0]} to {group[-1]}" if len(group) > 2 else ", ".join(map(str, group)) for group in groups)


def interval(kind: str, seeds: dict[str, list[int]]) -> str:
    """Say what the interval is, or that one seed has none.

    Args:
        kind: the interval in words, as "band: pointwise 95 % t interval over seeds".
        seeds: the seeds that the figure draws, by variant.
    """
    alone = [variant for variant, own in seeds.items() if len(own) == 1]
    if len(alone) == len(seeds):
        return "One seed gives no interval over seeds."
    return f"{kind}." + (f" One seed gives no interval ({', '.join(alone)})." if alone else "")


def episodes(data: Data) -> str:
    """How many episodes each checkpoint was evaluated on."""
    numbers = sorted(set(data.rates["episodes"]))
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def unfinished(data: Data) -> str:
    """Name the runs that config.json names and that did not get to the last checkpoint; empty when there are none."""
    return "".join(f" {sentence}" for sentence in failure_sentences(data.folder, data.failures))
