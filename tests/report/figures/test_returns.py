"""final_return shows one number per seed, evaluated or not, and the mean with its interval over seeds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from helpers.synthetic_results import make_docking, make_external
from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.report.figures.returns import final_return


def drawn(folder: Path) -> tuple[list[list[float]], str]:
    """The x data of all lines, and the caption."""
    [found] = find_results(folder)
    figure, caption = final_return(Data(found))
    lines = [np.asarray(line.get_xdata(), float).tolist() for line in figure.axes[0].lines]
    plt.close(figure)
    return lines, caption


def test_training_without_a_success_rate_shows_its_returns(tmp_path: Path) -> None:
    folder = make_external(tmp_path / "stranger", success="")
    lines, caption = drawn(folder)
    tables = [pd.read_csv(folder / f"wide/seed_{seed}/scalars.csv")["Train/mean_reward"] for seed in (1, 2, 3)]
    numbers = [table.iloc[-5:].mean() for table in tables]
    interval = statistics.t_interval(np.array(numbers))
    assert any(line == pytest.approx(numbers) for line in lines)
    assert any(line == pytest.approx([interval.low, interval.high]) for line in lines)
    assert "Return at the end of training." in caption and "stranger logs (Train/mean_reward)" in caption
    assert "Each variant: n = 3 (seeds 1 to 3)." in caption


def test_an_evaluated_run_shows_the_return_of_its_last_checkpoint(tmp_path: Path) -> None:
    folder = make_docking(tmp_path / "docking")
    lines, caption = drawn(folder)
    tables = [pd.read_csv(folder / f"calm/seed_{seed}/episodes.csv") for seed in (1, 2, 3)]
    numbers = [table.loc[table["iteration"] == 30, "return"].mean() for table in tables]
    assert any(line == pytest.approx(numbers) for line in lines)
    assert "never at its best: last checkpoint" in caption and "on 40 evaluation episodes" in caption


def test_without_a_number_the_figure_says_so(tmp_path: Path) -> None:
    folder = make_external(tmp_path / "stranger")
    for path in folder.rglob("scalars.csv"):
        pd.read_csv(path).drop(columns="Train/mean_reward").to_csv(path, index=False)
    lines, caption = drawn(folder)
    assert caption == "No run has a number of Train/mean_reward at its end." and not lines
