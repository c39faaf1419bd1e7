"""The table of success under factors with its numbers set as text."""

from collections.abc import Sequence

import pandas as pd

from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.estimates import Failure
from manyseeds.analysis.factors import spread_sentence, together
from manyseeds.config.conditions import ALL, NOMINAL
from manyseeds.core.description import Outcome
from manyseeds.report.tables.text import Grid, cell_text, decimals_of, in_unit, meanings

LABEL = "success-under-factors"
NOTE = (
    "Mean: over seeds, with its 95 % interval for new seeds on these episodes (rates: Student's t on the logit of the "
    "mean; other numbers: Student's t). Change: from nominal, of the same seeds (of rates, in percentage points), with "
    f"its 95 % interval from {statistics.LEAST_PAIRED} seeds on (rates: on each side the farther limit of Student's t "
    "and of MOVER for correlated rates; other numbers: Student's t). The intervals are not corrected for their number: "
    "where nothing changes, about one in twenty leaves 0 out."
)


def factors_grid(data: Data) -> Grid:
    """A row per variant and condition: the compared outcomes, and how much each differs from nominal."""
    folder, table = data.folder, data.under_factors
    outcomes = folder.compared
    decimals = decimals_of(table)
    header = ["Variant", "Factor", "Value", "Seeds"]
    for outcome in outcomes:
        unit = " (points)" if outcome.kind == "share" else in_unit(outcome)
        header += [f"{outcome.title}{in_unit(outcome)}", f"{outcome.title}, change{unit}"]
    rows = []
    for row in table.to_dict("records"):
        factor, value = factor_and_value(row["condition"], row["factor"])
        cells = [folder.label(row["variant"]), factor, value, str(row["seeds"])]
        for outcome in outcomes:
            numbers = [row[f"{outcome.name}_{end}"] for end in ("mean", "low", "high")]
            cells.append(cell_text(outcome, *numbers, decimals=decimals))
            change = [row[f"{outcome.name}_difference{end}"] for end in ("", "_low", "_high")]
            nominal = row["condition"] == NOMINAL
            cells.append("" if nominal else cell_text(outcome, *change, decimals=decimals, sign="+"))
        rows.append(tuple(cells))
    return Grid(
        tuple(header),
        "lllr" + "ll" * len(outcomes),
        tuple(rows),
        tuple(row == NOMINAL for row in table["condition"]),
        tuple(notes(data, outcomes)),
        LABEL,
    )


def factor_and_value(condition: str, factor: str) -> tuple[str, str]:
    """What tables and figures call a condition: the number that changes, and its level."""
    if not factor:
        return {NOMINAL: NOMINAL, ALL: "all together"}.get(condition, condition), ""
    return factor, condition.removeprefix(f"{factor} = ")


def notes(data: Data, outcomes: Sequence[Outcome]) -> list[str]:
    """The sentences below the table."""
    table: pd.DataFrame = data.under_factors
    last = "" if data.folder.evaluate.checkpoints == 1 else ", not the mean of several that other tables report"
    levels = together(data.factor_rates)
    return [
        f"Success of the last checkpoint{last}, on the same {table['episodes'].iloc[0]} episodes, with one number of "
        f"the task changed at a time. {meanings(outcomes)} {NOTE}",
        *([f"All together: {levels}."] if levels else []),
        *([wide] if (wide := spread_sentence(data.folder, data.factor_rates)) else []),
        *left_out(data),
        *data.folder.remarks,
    ]


def left_out(data: Data) -> list[str]:
    """Name the seeds that are not in the table."""
    name = data.folder.label
    return [f"{name(failure.variant)} seed {failure.seed} is left out: {failure.reason}." for failure in absent(data)]


def absent(data: Data) -> list[Failure]:
    """The seeds without rates under factors, and those that did not get to the last checkpoint."""
    zero = data.folder.evaluate.failed_runs == "count_as_zero"
    return [*([] if zero else data.failures), *data.without_factors]
