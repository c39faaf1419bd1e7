"""The final tables with their numbers set as text."""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from manyseeds.analysis.data import Data
from manyseeds.analysis.estimates import OTHER, estimate_words, failure_sentences, spread_sentences
from manyseeds.analysis.ledger import accounts
from manyseeds.analysis.rates import SHARE, STATISTICS, column
from manyseeds.analysis.results import ResultsFolder
from manyseeds.core.description import RETURN, Outcome
from manyseeds.core.text import count_of

LABEL = "success-rates"
WHERE_NO_INTERVAL = "No interval is given for one seed, or where seeds agree and it is not known of how many episodes."
COMPARED_NOTE = (
    "Difference: mean of A minus mean of B (of rates, in percentage points). All intervals of a column hold together "
    "with 95 % (Bonferroni), and an interval excludes 0 where its p, corrected in the same way, is below 0.05; columns "
    "are not corrected for each other. Rates: MOVER, from the logit-t interval of each rate; other numbers: Welch. "
    "A above B: probability that a seed of A beats a seed of B, with Newcombe's 95 % interval, not corrected. "
    "Detectable: the smallest true difference that as many seeds would show with a power of 80 %."
)
RACE_NOTE = (
    "Iteration: a pair is compared at the last checkpoint that both have, which is earlier than the reported one where "
    "the race stopped one of them. Variants that the race stopped are compared after they were chosen for it: their "
    "differences are too large on average, and p does not account for it. Effects of single settings are not computed."
)
SOURCES_NOTE = (
    "What the uncertainty of each mean is made of, at the last checkpoint: shares of the variance of the mean (seeds; "
    "episodes, as far as all seeds share them; and the rest), and by how much twice the seeds, or twice the episodes, "
    "would shrink its standard error."
)
EFFECTS_NOTE = (
    "Effects of the settings, over all levels of the others. A main effect is the mean change from the level compared "
    "with; an interaction of two settings, by how much the change by one depends on the other. All intervals of an "
    "outcome hold together with 95 % (Bonferroni); p is corrected in the same way."
)


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Attributes:
        header: names of the columns.
        align: `l` or `r` for each column.
        rows: cells, as many as the header has.
        bold: which rows stand out.
        notes: sentences that belong below.
        label: the label of the table in LaTeX.
    """

    header: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]
    bold: tuple[bool, ...]
    notes: tuple[str, ...]
    label: str = LABEL


def grids(data: Data) -> list[Grid]:
    """The final table; success by named starts; the comparison of variants; effects of a grid; sources of uncertainty.

    Those after the first only where there is something to show.
    """
    tables = [final_grid(data)]
    if len(data.by_start):
        tables.append(by_start_grid(data))
    if len(data.comparisons):
        tables.append(compared_grid(data.folder, data.comparisons))
    if len(data.effects):
        tables.append(effects_grid(data.folder, data.effects))
    if len(data.sources):
        tables.append(sources_grid(data.folder, data.sources))
    return tables


def final_grid(data: Data) -> Grid:
    """The reported numbers of each variant: a row per seed and rows over seeds."""
    folder, final, over_seeds = data.folder, data.final, data.final_over_seeds
    shown = _shown(data)
    rows: list[tuple[str, ...]] = []
    for variant in dict.fromkeys(final["variant"]):
        seeds = final[final["variant"] == variant]
        decimals = decimals_of(seeds)
        failed = {failure.seed for failure in data.failures if failure.variant == variant}
        rows += [_seed_row(folder, row, shown, decimals, failed) for _, row in seeds.iterrows()]
        over = over_seeds[over_seeds["variant"] == variant].iloc[0]
        ends = dict.fromkeys((seeds["iteration"].min(), seeds["iteration"].max()))
        rows += _over_seeds_rows(folder, over, " to ".join(map(str, ends)), shown, decimals)
    when = "" if folder.evaluated or folder.evaluated_by_trainer else " in training"
    return Grid(
        ("Variant", "Seed", "Iteration", *(f"{outcome.title}{when}{in_unit(outcome)}" for outcome in shown)),
        "llr" + "".join("l" if outcome in folder.compared else "r" for outcome in shown),
        tuple(rows),
        tuple(row[1].startswith(f"{STATISTICS[0].label},") for row in rows),
        (
            *(_evaluation_notes if folder.evaluated else _training_notes)(data, shown),
            *_notes_of_seeds(data),
            *folder.remarks,
        ),
    )


def by_start_grid(data: Data) -> Grid:
    """A row per variant and name of a start column: every share, and the worst and the best seed of the first."""
    folder, table = data.folder, data.by_start
    shares = [outcome for outcome in folder.outcomes if outcome.kind == "share"]
    titles = {start.name: start.title for start in folder.description.starts}
    several = table["start"].nunique() > 1
    first = folder.successes[:1]
    rows = []
    for row in table.to_dict("records"):
        decimals = decimals_of(pd.DataFrame([row]))
        cell = partial(_statistic, row, decimals)
        name = row["name"].replace("_", " ")
        cells = [folder.label(row["variant"]), f"{titles[row['start']]}: {name}" if several else name]
        cells += [str(row["seeds"]), str(row["episodes"])]
        cells += [f"{cell(outcome, 'min')} to {cell(outcome, 'max')}" for outcome in first]
        for outcome in shares:
            ends = ("mean", "low", "high")
            one = cell_text(outcome, row.get(outcome.name, math.nan), decimals=decimals)
            cells.append(cell(outcome, *ends) if outcome in folder.compared else one)
        rows.append(tuple(cells))
    title = "Start" if several else titles[table["start"].iloc[0]].capitalize()
    worst = [f"{outcome.title}, worst to best seed (%)" for outcome in first]
    header = ("Variant", title, "Seeds", "Episodes", *worst, *(f"{outcome.title} (%)" for outcome in shares))
    note = (
        "The last checkpoint's episodes, split by what they start with. Mean over seeds, with its 95 % interval for "
        f"new seeds on these episodes. {meanings(shares)}"
    )
    missing = ["Seeds that did not get to the last checkpoint are left out."] if data.failures else []
    align = "llrr" + "l" * (len(header) - 4)
    return Grid(header, align, tuple(rows), (False,) * len(rows), (note, *missing), f"{LABEL}-by-start")


def summary_grid(data: Data) -> Grid:
    """The answer in a row per variant: what was reported over seeds, of the first two compared outcomes."""
    folder, requirement = data.folder, data.folder.evaluate.requirement
    outcomes = [outcome for outcome in folder.compared if outcome in _shown(data)][:2]
    below = requirement is not None and bool(folder.evaluated and outcomes and outcomes[0] in folder.successes)
    header = ["Variant", "Seeds", "Iteration"]
    for outcome in outcomes:
        header += [f"{outcome.title}, mean{in_unit(outcome)}", f"{outcome.title}, worst to best seed"]
    rows = []
    for _, row in data.final_over_seeds.iterrows():
        decimals = decimals_of(data.final[data.final["variant"] == row["variant"]])
        cell = partial(_statistic, row, decimals)
        cells = [folder.label(row["variant"]), str(row["seeds"]), str(row["iteration"])]
        for outcome in outcomes:
            low, high = cell(outcome, "min"), cell(outcome, "max")
            worst_first = (high, low) if outcome.better == "lower" else (low, high)
            cells += [cell(outcome, "mean", "low", "high"), " to ".join(worst_first) if row["seeds"] > 1 else ""]
        rows.append((*cells, *([_below(row, outcomes[0], int(row["seeds"]))] if below else [])))
    if below:
        header.append(f"Seeds below {_rate(requirement or 0)} %")
    of = f"of the {estimate_words(folder.evaluate.checkpoints)}, never of the best one"
    notes = [
        f"Mean over seeds {of if folder.evaluated else 'at the end of training'}, in brackets its 95 % interval over "
        f"seeds. {meanings(outcomes) if folder.evaluated else ''}".strip(),
        *failure_sentences(folder, data.failures),
    ]
    return Grid(tuple(header), "l" * len(header), tuple(rows), (False,) * len(rows), tuple(notes), f"{LABEL}-summary")


def _shown(data: Data) -> list[Outcome]:
    """The columns of the final table: what is compared, every share, and one measure, because a page has no room."""
    folder = data.folder
    measures = folder.description.measures[:1]
    shown = [o for o in folder.outcomes if o in folder.compared or o.kind == "share" or o in measures]
    return [outcome for outcome in shown if folder.evaluated or data.rates[column(outcome)].notna().any()]


def _seed_row(
    folder: ResultsFolder, row: pd.Series, shown: Sequence[Outcome], decimals: int, failed: Collection[int]
) -> tuple[str, ...]:
    cells = []
    for outcome in shown:
        limits = [row.get(f"{outcome.name}_{end}", math.nan) for end in ("low", "high")]
        cells.append(cell_text(outcome, row[column(outcome)], *limits, decimals=decimals))
    seed = f"{row['seed']} (failed)" if row["seed"] in failed else str(row["seed"])
    return (folder.label(row["variant"]), seed, str(row["iteration"]), *cells)


def _over_seeds_rows(
    folder: ResultsFolder, row: pd.Series, iteration: str, shown: Sequence[Outcome], decimals: int
) -> list[tuple[str, ...]]:
    variant, seeds = folder.label(row["variant"]), int(row["seeds"])

    def cells(*columns: str) -> list[str]:
        return [_statistic(row, decimals, outcome, *columns) if outcome in folder.compared else "" for outcome in shown]

    named = [(f"{statistic.label}, {count_of(seeds)}", cells(*statistic.columns)) for statistic in STATISTICS]
    # Of other outcomes there is only the mean, which stands in the first row.
    for place, outcome in enumerate(shown):
        if outcome not in folder.compared:
            named[0][1][place] = cell_text(outcome, row[column(outcome)], decimals=decimals)
    if seeds == 1:
        return [(variant, named[0][0], iteration, *named[0][1])]
    named.append((_other(folder), cells("other", "other_low", "other_high")))
    extremes = zip(cells("min"), cells("max"), strict=True)
    named.append(("min to max", [f"{low} to {high}" if low else "" for low, high in extremes]))
    if folder.evaluate.requirement is not None:
        below = [_below(row, outcome, seeds) if outcome in folder.successes else "" for outcome in shown]
        named.append((f"seeds below {_rate(folder.evaluate.requirement)} %", below))
    return [(variant, label, iteration, *texts) for label, texts in named if any(texts)]


def _statistic(row: pd.Series | Mapping[Hashable, Any], decimals: int, outcome: Outcome, *ends: str) -> str:
    """Return statistics of an outcome over seeds, by the endings of their columns; "" where they are missing."""
    return cell_text(outcome, *(row.get(f"{outcome.name}_{end}", math.nan) for end in ends), decimals=decimals)


def _other(folder: ResultsFolder) -> str:
    return estimate_words(1 if folder.evaluate.checkpoints > 1 else OTHER)


def _below(row: pd.Series, outcome: Outcome, seeds: int) -> str:
    below, high = row.get(f"{outcome.name}_below", math.nan), row.get(f"{outcome.name}_below_high", math.nan)
    return "" if pd.isna(below) else f"{below:.0f} of {seeds} (at most {100 * high:.0f} % of all)"


def _rate(share: float) -> str:
    return f"{100 * share:.6g}"


def _evaluation_notes(data: Data, shown: Sequence[Outcome]) -> list[str]:
    folder, several = data.folder, data.folder.evaluate.checkpoints > 1
    estimate = estimate_words(folder.evaluate.checkpoints)
    seed = "share of its episodes, " + ("" if several else "with the 95 % Wilson interval of this one policy, ")
    notes = [
        f"Rates of the {estimate}, never of the best one. {meanings(shown)} Row of a seed: {seed}"
        "or mean over the episodes that have a number. "
        + " ".join([*(statistic.note for statistic in STATISTICS), _interval_note(data), WHERE_NO_INTERVAL])
    ]
    if folder.evaluate.requirement is not None and folder.successes:
        notes.append(
            f"Seeds below {_rate(folder.evaluate.requirement)} %: how many miss the requirement, and the upper limit "
            "(Clopper and Pearson, one-sided 95 %) of the share of all seeds that would. No other interval here covers "
            "seeds that fail in a way in which none of these did."
        )
    return notes


def _interval_note(data: Data) -> str:
    if not len(data.sources):
        return "Intervals are for the episodes that were played."
    sentence = "The intervals of means are for new seeds and new episodes"
    widening = float(data.sources["widening"].max())
    if math.isnan(widening):
        return f"{sentence}."
    # An interval that is twice as wide for new episodes is half as wide for these.
    narrower = 100 * (1 - 1 / max(widening, 1.0))
    if narrower < 0.5:
        return f"{sentence}; for these episodes alone they would be as wide."
    if narrower >= 99.5:
        return f"{sentence}; all seeds do the same in these episodes, so nearly all of their width is for new episodes."
    return f"{sentence}; for these episodes alone they would be up to {narrower:.0f} % narrower."


def _training_notes(data: Data, shown: Sequence[Outcome]) -> list[str]:
    rates, trainer = data.rates, data.folder.trainer
    notes = [
        f"These are the numbers of evaluations that {trainer} made and logged during training."
        if data.folder.evaluated_by_trainer
        else f"Training, not an evaluation: these are numbers that {trainer} logged with its exploring policy; its "
        "checkpoints are not evaluated here."
    ]
    if not data.folder.successes:
        key = "trainer.scalars.success" if data.folder.at is None else "--success"
        notes.append(f"Success is left out: no scalar of {trainer} is named as one ({key}).")
    for outcome in data.folder.outcomes:
        if outcome not in shown:
            notes.append(f"{outcome.title} is left out: no run logged {outcome.tag} at its end.")
            continue
        notes.append(f"{outcome.title}: {outcome.tag}.")
        if missing := [
            f"{data.label(row['variant'])} seed {row['seed']}" for _, row in _without(rates, outcome).iterrows()
        ]:
            notes.append(f"{outcome.tag} was not logged at the end of {', '.join(missing)}.")
    last = " or ".join(map(str, sorted(set(rates["averaged"]))))
    until = f" up to {data.folder.at}" if isinstance(data.folder.at, int) else ""
    notes.append(
        f"Row of a seed: mean over the last {100 * SHARE:.0f} % of its iterations{until} ({last}). "
        + " ".join([*(statistic.note for statistic in STATISTICS), WHERE_NO_INTERVAL])
    )
    return notes


def _without(rates: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    return rates[rates[column(outcome)].isna()]


def _notes_of_seeds(data: Data) -> list[str]:
    """How many seeds and episodes each variant has, and what became of those that failed."""
    notes = []
    for variant, final in data.final.groupby("variant", sort=False):
        episodes = f"{final['episodes'].iloc[0]} episodes per seed, " if "episodes" in final else ""
        conditional = _numbers_of_measure(data, str(variant))
        notes.append(f"{data.label(str(variant))}: {episodes}{count_of(len(final))}.{conditional}")
    return [
        *notes,
        *spread_sentences(data.folder, data.final),
        *failure_sentences(data.folder, data.failures),
        *accounts(data.folder),
    ]


def _numbers_of_measure(data: Data, variant: str) -> str:
    """Of how many episodes a measure is the mean, where not every episode has a number."""
    sentences = []
    episodes = data.final_episodes(variant)
    for outcome in (outcome for outcome in _shown(data) if outcome.kind == "measure" and outcome != RETURN):
        counts = [int(table[outcome.name].notna().sum()) for table in episodes.values()]
        total = sum(len(table) for table in episodes.values())
        if episodes and sum(counts) < total:
            has = f"{sum(counts)} of {total} episodes, of {count_of(sum(count > 0 for count in counts))}"
            sentences.append(f" {outcome.title}: mean over the {has}, that have it.")
    return "".join(sentences)


def meanings(outcomes: Sequence[Outcome]) -> str:
    """What each outcome means, in one sentence."""
    return "; ".join(f"{outcome.title}: {outcome.meaning}" for outcome in outcomes) + "."


def compared_grid(folder: ResultsFolder, comparisons: pd.DataFrame) -> Grid:
    """A row per pair of variants, from `manyseeds.analysis.comparison.comparisons`."""
    tables = dict(list(comparisons.groupby("outcome", sort=False)))
    outcomes = [outcome for outcome in folder.compared if outcome.name in tables]
    first = outcomes[0]
    settings = folder.evaluate
    at_common = tables[first.name]["iteration"].notna().any()
    header, align = (["A", "B", "Iteration"], "llr") if at_common else (["A", "B"], "ll")
    for outcome in outcomes:
        unit = " (points)" if outcome.kind == "share" else in_unit(outcome)
        header += [f"{outcome.title}, A - B{unit}", "p"]
        align += "lr"
        if outcome is first:
            header.append(f"{outcome.title}, A above B (%)")
            align += "l"
    last = ["Detectable"]
    if settings.smallest_difference is not None:
        last.append(f"Seeds for {_size(first, settings.smallest_difference)}")
    if settings.looks:
        last.append("Sequential test")
    rows = []
    for pair in zip(*(tables[outcome.name].to_dict("records") for outcome in outcomes), strict=True):
        cells = [folder.label(pair[0]["a"]), folder.label(pair[0]["b"])]
        cells += [str(pair[0]["iteration"])] if at_common else []
        for outcome, row in zip(outcomes, pair, strict=True):
            cells += [cell_text(outcome, row["difference"], row["low"], row["high"], decimals=1, sign="+"), _p(row)]
            if outcome is first:
                cells.append(percent(row["improvement"], row["improvement_low"], row["improvement_high"], 0))
        row = pair[0]
        cells.append(cell_text(first, row["detectable"], decimals=1))
        if settings.smallest_difference is not None:
            cells.append("" if pd.isna(row["seeds_for_smallest"]) else str(row["seeds_for_smallest"]))
        if settings.looks:
            cells.append(_look(row))
        rows.append(tuple(cells))
    notes = [COMPARED_NOTE, *([RACE_NOTE] if at_common else []), *_notes_of_comparisons(folder, tables[first.name])]
    return Grid(
        (*header, *last), align + "r" * len(last), tuple(rows), (False,) * len(rows), tuple(notes), f"{LABEL}-compared"
    )


def _notes_of_comparisons(folder: ResultsFolder, table: pd.DataFrame) -> list[str]:
    settings, notes = folder.evaluate, []
    first = folder.compared[0]
    few = table[table["exact_p"] > 0.05]
    for (a, b), rows in few.groupby(["seeds_a", "seeds_b"]):
        p = rows["exact_p"].iloc[0]
        notes.append(
            f"With {a} against {b} seeds no permutation test gives p below {p:.2g}: a smaller p rests on the "
            "assumption that seeds are distributed as the formula says."
        )
    if settings.smallest_difference is not None:
        notes.append(
            f"Seeds for {_size(first, settings.smallest_difference)}: how many of each variant would show the smallest "
            "difference that matters (evaluate.smallest_difference) with a power of 80 %, if they spread as these do."
        )
    if settings.looks:
        notes.append(
            "Sequential test: group sequential permutation test (AdaStop) at the planned numbers of seeds "
            f"({', '.join(map(str, settings.looks))}), with the probability of a false alarm spent so far."
        )
    return notes


def _size(outcome: Outcome, difference: float) -> str:
    return f"{_rate(difference)} points" if outcome.kind == "share" else f"{difference:g} {outcome.unit}".strip()


def _look(row: Mapping[Hashable, Any]) -> str:
    if pd.isna(row["look"]):
        return "no look yet"
    verdict = "different" if row["shown"] else "not shown"
    return f"{verdict} at {row['look']} seeds ({100 * row['spent']:.2g} % spent)"


def effects_grid(folder: ResultsFolder, effects: pd.DataFrame) -> Grid:
    """A row per effect of a setting or two, from `manyseeds.analysis.estimates.effects`."""
    outcomes = {outcome.name: outcome for outcome in folder.compared}
    rows = []
    for row in effects.to_dict("records"):
        outcome = outcomes[row["outcome"]]
        change = cell_text(outcome, row["estimate"], row["low"], row["high"], decimals=1, sign="+")
        unit = " (points)" if outcome.kind == "share" else in_unit(outcome)
        rows.append((f"{outcome.title}{unit}", row["factors"], row["levels"], row["compared_with"], change, _p(row)))
    header = ("Outcome", "Setting", "Level", "Compared with", "Effect", "p")
    return Grid(header, "lllllr", tuple(rows), (False,) * len(rows), (EFFECTS_NOTE,), f"{LABEL}-effects")


def sources_grid(folder: ResultsFolder, sources: pd.DataFrame) -> Grid:
    """A row per variant and success, from `manyseeds.analysis.estimates.sources`."""
    titles = {outcome.name: outcome.title for outcome in folder.successes}
    rows = []
    for row in sources.to_dict("records"):
        shares = [f"{100 * row[name]:.0f}" for name in ("from_seeds", "from_episodes", "from_rest")]
        gains = [f"{100 * (row[name] - 1):+.0f}" for name in ("twice_the_seeds", "twice_the_episodes")]
        rows.append((folder.label(row["variant"]), titles[row["outcome"]], *shares, *gains))
    header = (
        "Variant",
        "Outcome",
        "From seeds (%)",
        "From episodes (%)",
        "From the rest (%)",
        "Twice the seeds (%)",
        "Twice the episodes (%)",
    )
    return Grid(header, "llrrrrr", tuple(rows), (False,) * len(rows), (SOURCES_NOTE,), f"{LABEL}-sources")


def in_unit(outcome: Outcome) -> str:
    """The unit of an outcome in brackets, with a space before it; "" without one."""
    unit = "%" if outcome.kind == "share" else outcome.unit
    return f" ({unit})" if unit else ""


def decimals_of(rates: pd.DataFrame) -> int:
    """So many decimals of a percentage that one episode more or less shows; one without episodes."""
    return max(0, math.ceil(math.log10(max(rates["episodes"].iloc[0], 1))) - 2) if "episodes" in rates else 1


def cell_text(
    outcome: Outcome, value: float, low: float = math.nan, high: float = math.nan, *, decimals: int, sign: str = "-"
) -> str:
    """A rate or a measure with its interval, if it has one; empty without a value."""
    if pd.isna(value):
        return ""
    if outcome.kind == "share":
        return percent(value, low, high, decimals, sign)
    return _with_interval([_number(number, sign) for number in (value, low, high)])


def percent(share: float, low: float, high: float, decimals: int, sign: str = "-") -> str:
    """A share in percent, with its interval if it has one."""
    return _with_interval(
        ["" if pd.isna(number) else f"{100 * number:{sign}.{decimals}f}" for number in (share, low, high)]
    )


def _number(value: float, sign: str) -> str:
    if pd.isna(value):
        return ""
    return f"{value:{sign}.0f}" if abs(value) >= 1000 else f"{value:{sign}#.3g}".rstrip(".")


def _with_interval(texts: Sequence[str]) -> str:
    value, low, high = texts
    return f"{value} [{low}, {high}]" if low and high else value


def _p(row: Mapping[Hashable, Any]) -> str:
    p = row["p_corrected"]
    return "" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
