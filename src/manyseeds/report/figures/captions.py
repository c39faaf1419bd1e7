"""Sentences and names that several figures share."""

from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from manyseeds.analysis.data import Data
from manyseeds.analysis.estimates import estimate_words, failure_sentences, spread_sentences
from manyseeds.core.description import Outcome, Start

RATE_INTERVAL = "95 % interval over seeds"
"""The interval of a mean of rates, in a legend."""
RATE_INTERVAL_LONG = "95 % interval over seeds (Student's t on the logit scale)"
"""The same in a caption."""


_BANDS = {
    "pointwise": ("95 % interval over seeds", "pointwise 95 % t interval over seeds"),
    "simultaneous": (
        "95 % band of the whole curve",
        "simultaneous 95 % t band over seeds, which covers the whole mean curve at once",
    ),
    "standard-error": (
        "standard error",
        "standard error of the mean over seeds, which covers about 68 % at each point",
    ),
    "range": ("smallest to largest seed", "from the smallest to the largest seed"),
    "none": ("", ""),
}


def band(data: Data, tag: str) -> tuple[str, str]:
    """What a legend and a caption call the band of a curve; "" where it has none."""
    kind = data.band_of(tag)
    if kind == "pointwise" and tag == data.folder.tags.success:
        return RATE_INTERVAL, f"pointwise {RATE_INTERVAL_LONG}"
    return _BANDS[kind]


def label(item: Outcome | Start) -> str:
    """The name of a column on an axis, with its unit."""
    unit = "%" if isinstance(item, Outcome) and item.kind == "share" else item.unit
    return item.title[0].lower() + item.title[1:] + (f" ({unit})" if unit else "")


def line_labels(data: Data, variants: Collection[str], most: int) -> list[str]:
    """What a legend calls the bold lines: the variants, or of a single one what its line is.

    Args:
        data: the experiment.
        variants: those that are drawn.
        most: the largest number of seeds of one of them.
    """
    if len(variants) > 1:
        return [data.label(variant) for variant in variants]
    return ["one seed" if most == 1 else f"mean of {most} seeds"]


def meaning(data: Data, outcomes: Sequence[Outcome]) -> str:
    """What rates are of: checkpoints on evaluation episodes, or the end of training."""
    if data.folder.evaluated:
        sentences = "; ".join(f"{outcome.title}: {outcome.meaning}" for outcome in outcomes)
        return f"Deterministic policy, on {episodes(data)} evaluation episodes. {sentences}."
    tags = ", ".join(outcome.tag for outcome in outcomes)
    at = data.folder.at
    mean = f"the last tenth of the iterations up to {at}" if isinstance(at, int) else "the end of each run"
    if data.folder.evaluated_by_trainer:
        return f"Evaluations that {data.folder.trainer} made and logged during training ({tags}), mean over {mean}."
    return (
        f"Training, not an evaluation: what {data.folder.trainer} logs ({tags}), mean over {mean}. Its checkpoints are "
        "not evaluated here."
    )


def training_success(data: Data) -> str:
    """Why success in training is not what an evaluation shows: exploration, and easier starts."""
    parts = ["the policy explores (its actions are drawn at random)"]
    easier = data.folder.description.easier_starts
    unequal = False
    for number, how in easier.items():
        shares = {variant: data.folder.number(number, variant) for variant in data.variants}
        unequal |= len(set(shares.values())) > 1
        if any(shares.values()):
            said = {data.label(variant): f"{100 * share:g} %" for variant, share in shares.items()}
            same = len(set(said.values())) == 1
            amount = next(iter(said.values())) if same else ", ".join(f"{name} {text}" for name, text in said.items())
            parts.append(f"{amount} of the episodes {how}{'' if same else ' (a different share in each variant)'}")
    end = "so this is not the success of an evaluation"
    if unequal:
        end += ", and success in training does not compare the variants"
    return f"In training {' and '.join(parts)}, {end}."


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
    """Say how many seeds, and which, each variant contributes, and which left nothing.

    Args:
        data: the experiment.
        seeds: the seeds that the figure draws, by variant.
    """
    parts = []
    drawn = {tuple(sorted(seeds.get(variant, []))) for variant in data.variants}
    if len(data.variants) > 1 and len(drawn) == 1 and (every := next(iter(drawn))):
        return f"Each variant: n = {len(every)} ({_seeds(every)}).{_missing(data)}"
    for variant in data.variants:
        own, name = sorted(seeds.get(variant, [])), data.label(variant)
        if own:
            parts.append(f"{name} n = {len(own)} ({_seeds(own)})")
        else:
            parts.append(f"{name} n = 0 (no data)")
    return "; ".join(parts) + "." + _missing(data)


def _missing(data: Data) -> str:
    """Name the runs that config.json names and that left nothing."""
    names: dict[str, list[int]] = {}
    for variant, seed in data.folder.missing:
        names.setdefault(variant, []).append(seed)
    if not names:
        return ""
    parts = [f"{data.label(variant)} {_seeds(own)}" for variant, own in names.items()]
    return f" Missing, because they left no results: {'; '.join(parts)}."


def _seeds(numbers: Sequence[int]) -> str:
    return f"{'seed' if len(numbers) == 1 else 'seeds'} {_ranges(numbers)}"


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers as text, runs of three and more shortened: 1 to 10, 42."""
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(f"{group[0]} to {group[-1]}" if len(group) > 2 else ", ".join(map(str, group)) for group in groups)


def interval(data: Data, kind: str, seeds: dict[str, list[int]]) -> str:
    """Say what the interval is, or that one seed has none.

    Args:
        data: the experiment.
        kind: the interval in words, as "band: pointwise 95 % t interval over seeds".
        seeds: the seeds that the figure draws, by variant.
    """
    alone = [data.label(variant) for variant, own in seeds.items() if len(own) == 1]
    if len(alone) == len(seeds):
        return "One seed gives no interval over seeds."
    sentence = kind[0].upper() + kind[1:]
    return f"{sentence}." + (f" One seed gives no interval ({', '.join(alone)})." if alone else "")


def episodes(data: Data) -> str:
    """How many episodes each checkpoint was evaluated on."""
    numbers = sorted(set(data.rates["episodes"]))
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def unfinished(data: Data) -> str:
    """Say what becomes of the seeds that did not get to the last checkpoint; `counts` names the missing ones."""
    zero = data.folder.evaluate.failed_runs == "count_as_zero"
    failed = [own for own in data.failures if zero or (own.variant, own.seed) not in data.folder.missing]
    return "".join(f" {sentence}" for sentence in failure_sentences(data.folder, failed))


def too_narrow(data: Data) -> str:
    """Name the means whose 95 % intervals cover less."""
    return "".join(f" {sentence}" for sentence in spread_sentences(data.folder, data.final))


def seeds_played(data: Data) -> dict[str, list[int]]:
    """The seeds whose last checkpoint was evaluated, by variant."""
    found = {variant: sorted(run.seed for run in data.final_episodes(variant)) for variant in data.variants}
    return {variant: seeds for variant, seeds in found.items() if seeds}


def reported(data: Data, what: str = "Success") -> str:
    """Which number of a seed is shown."""
    if not data.folder.evaluated:
        at = data.folder.at
        return f"{what} at iteration {at}." if isinstance(at, int) else f"{what} at the end of training."
    return f"{what} at the end of training, never at its best: {estimate_words(data.folder.evaluate.checkpoints)}."


def differences(data: Data, outcomes: Sequence[Outcome]) -> str:
    """The caption of the differences of variants."""
    table = data.comparisons
    pairs = len(table[["a", "b"]].drop_duplicates())
    interval = "their 95 % interval over seeds (MOVER)"
    if pairs > 1:
        interval = f"95 % intervals over seeds (MOVER), which hold for all {pairs} comparisons of a panel together"
    alone = sorted({data.label(v) for side in ("a", "b") for v in table.loc[table["low"].isna(), side]})
    return (
        f"Differences of the mean success, with {interval}. An interval on one side of the line shows a difference. "
        f"{reported(data)} {meaning(data, outcomes)} "
        + (f"A comparison without an interval has one seed, or no spread ({', '.join(alone)}). " if alone else "")
        + counts(data, seeds_in(data, data.final))
        + unfinished(data)
        + too_narrow(data)
    )
