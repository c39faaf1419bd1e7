"""Sentences that several captions share."""

import pandas as pd

from manyseeds.analysis.data import Data
from manyseeds.config.external import OURS

MEANING = (
    "Reached: the object came within the tolerance of its target at some time in the episode; "
    "held: it was there at the last step."
)


def not_evaluated(data: Data) -> str:
    """Why there are no evaluation episodes."""
    trainer = data.experiment.trainer
    return "No run has an episodes.csv." if trainer == OURS else f"Checkpoints of {trainer} are not evaluated here."


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
        if own:
            parts.append(f"{variant} n = {len(own)} ({'seed' if len(own) == 1 else 'seeds'} {_ranges(own)})")
        else:
            parts.append(f"{variant} n = 0 (no data)")
    return "; ".join(parts) + "."


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
    """Name the seeds that lack their variant's last checkpoint; empty when there are none."""
    sentences = []
    for variant in data.variants:
        rows = data.rates[data.rates["variant"] == variant]
        for seed, own in rows.groupby("seed"):
            last = own["iteration"].max()
            if last < rows["iteration"].max():
                sentences.append(f" {variant} seed {seed} is left out: evaluated up to iteration {last} only.")
    return "".join(sentences)
