"""Learning curves over seeds: right for complete, short, missing and single runs."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.verbs import verb
from manyseeds import statistics
from manyseeds.analysis.curves import VariantRuns, band_of_rates
from manyseeds.analysis.curves import aggregate as write_curves
from manyseeds.config import resolve

main = verb("curves")


def table(path, columns, first=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = len(next(iter(columns.values())))
    text = {tag: ["" if v is None else f"{v}" for v in values] for tag, values in columns.items()}
    lines = [",".join([str(first + i), *(text[tag][i] for tag in text)]) for i in range(rows)]
    path.write_text("\n".join([",".join(["iteration", *columns]), *lines]) + "\n")
    return path


def aggregate(tmp_path, **variants):
    """Run the command over variant=[columns of a seed, ...]; return its table."""
    runs = [
        f"{name}={table(tmp_path / f'{name}{i}.csv', columns)}"
        for name, seeds in variants.items()
        for i, columns in enumerate(seeds)
    ]
    output = tmp_path / "curves.csv"
    assert main(["--runs", *runs, "--samples-per-iteration", "24", "--output", str(output)]) == 0
    return pd.read_csv(output)


def test_mean_and_interval_at_each_iteration(tmp_path):
    seeds = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    curves = aggregate(tmp_path, default=[{"a": row.tolist()} for row in seeds])
    assert curves["iteration"].tolist() == [1, 2, 3, 4]
    assert curves["samples"].tolist() == [24, 48, 72, 96]
    assert curves["n"].tolist() == [5] * 4
    np.testing.assert_allclose(curves["mean"], seeds.mean(axis=0), rtol=1e-6)
    low, high = stats.t.interval(0.95, 4, seeds.mean(axis=0), stats.sem(seeds, axis=0))
    np.testing.assert_allclose(curves[["low", "high"]], np.stack([low, high], 1), rtol=1e-5)
    assert curves[["iqm", "iqm_low"]].isna().all(axis=None)  # five seeds are too few
    seeds = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    curves = aggregate(tmp_path, default=[{"a": row.tolist()} for row in seeds])
    np.testing.assert_allclose(curves["iqm"], stats.trim_mean(seeds, 0.25), rtol=1e-5)
    assert (curves["iqm_low"] <= curves["iqm"]).all() and (curves["iqm"] <= curves["iqm_high"]).all()


def test_a_success_rate_has_the_interval_of_rates_and_of_its_episodes():
    """Where all seeds are at 0, the interval comes from the number of episodes; without that there is none."""
    rates = np.array([[0.0, 0.1, 0.5], [0.0, 0.3, np.nan], [0.0, 0.2, 0.7]])
    episodes = np.array([[50.0, 40, 30], [50, 40, np.nan], [50, np.nan, 30]])
    band = band_of_rates(rates, episodes)
    assert band.estimate == pytest.approx([0, 0.2, 0.6])
    for point, counts in ((0, [50, 50, 50]), (1, None), (2, [30, 30])):
        own = rates[:, point][~np.isnan(rates[:, point])]
        expected = statistics.rate_interval(own, counts)
        assert (band.low[point], band.high[point]) == pytest.approx((expected.low, expected.high))
    assert band.low[0] == 0 < band.high[0] < 0.2
    assert np.isnan(band_of_rates(np.zeros((3, 1)), np.full((3, 1), np.nan)).high[0])


def test_the_aggregated_curves_take_it_for_the_tag_of_success(tmp_path):
    runs = {
        f"seed_{seed}": table(tmp_path / f"{seed}.csv", {"success": [0, rate], "Train/episodes": [20, 20]})
        for seed, rate in ((1, 0.9), (2, 1), (3, 0.95))
    }
    variants = [VariantRuns("default", runs, None, "success")]
    write_curves(variants, tmp_path / "curves.csv")
    curves = pd.read_csv(tmp_path / "curves.csv").set_index("tag").loc["success"]
    expected = statistics.rate_interval(np.array([[0, 0.9], [0, 1], [0, 0.95]]), 20)
    np.testing.assert_allclose(curves[["low", "high"]], np.stack(expected[1:], 1), rtol=1e-5)
    assert curves["high"].max() < 1


def test_columns_and_order(tmp_path):
    curves = aggregate(tmp_path, wide=[{"b": [1], "a": [1]}], narrow=[{"a": [1]}])
    assert list(curves.columns) == [
        *("variant", "tag", "iteration", "samples", "n"),
        *("mean", "low", "high", "iqm", "iqm_low", "iqm_high"),
    ]
    assert curves[["variant", "tag"]].values.tolist() == [["wide", "a"], ["wide", "b"], ["narrow", "a"]]


def test_with_one_seed_no_interval_is_invented(tmp_path, capsys):
    curves = aggregate(tmp_path, default=[{"a": [1.5, 2.5]}])
    assert curves["mean"].tolist() == [1.5, 2.5]
    assert curves[["low", "high", "iqm_low", "iqm_high"]].isna().all(axis=None)
    assert "only one run" in capsys.readouterr().err


def test_a_shorter_run_counts_as_long_as_it_lasts(tmp_path, capsys):
    curves = aggregate(tmp_path, default=[{"a": [1, 1, 1]}, {"a": [3, 3, 3]}, {"a": [5]}])
    assert curves["n"].tolist() == [3, 2, 2]
    assert curves["mean"].tolist() == [3, 2, 2]
    assert "runs end at different iterations" in capsys.readouterr().err


def test_a_tag_that_one_run_lacks(tmp_path, capsys):
    curves = aggregate(tmp_path, default=[{"a": [1], "b": [2]}, {"a": [3]}]).set_index("tag")
    assert curves.loc["a", "n"] == 2
    assert curves.loc["b", ["n", "mean"]].tolist() == [1, 2]
    assert math.isnan(curves.loc["b", "low"])
    assert "did not log b" in capsys.readouterr().err


def test_nan_is_no_number_and_an_all_nan_tag_has_empty_fields(tmp_path, capsys):
    curves = aggregate(tmp_path, default=[{"a": [math.nan, 1, None]}, {"a": [math.nan, 3, 4]}])
    assert curves["n"].tolist() == [0, 2, 1]
    assert curves["mean"].isna().tolist() == [True, False, False]
    curves = aggregate(tmp_path, default=[{"a": [math.nan]}, {"a": [math.nan]}])
    assert curves["n"].tolist() == [0]
    assert curves[["mean", "low", "iqm", "iqm_high"]].isna().all(axis=None)
    assert "logged no number under a" in capsys.readouterr().err


def test_an_infinite_value_has_no_interval_and_no_warning_from_numpy(tmp_path):
    curves = aggregate(tmp_path, default=[{"a": ["inf", 1]}, {"a": [1, 1]}])
    assert curves["mean"].tolist() == [math.inf, 1.0]
    assert curves["low"].isna().tolist() == [True, False]


def write_config(tmp_path, variants=("base", "other"), seeds=(1, 2)):
    experiment = resolve(
        {
            "experiment": "e",
            "seeds": list(seeds),
            "train": {"num_envs": 4, "max_iterations": 2, "save_interval": 1},
            "agent": {"file": "generic_policy.json", "overrides": {"num_steps_per_env": 10}},
            "variants": {name: {} for name in variants},
        }
    )
    path = tmp_path / "config.json"
    path.write_text(experiment.to_json())
    return path


def test_the_resolved_experiment_names_the_runs_and_their_samples(tmp_path):
    config = write_config(tmp_path)
    for variant in ("base", "other"):
        for seed in (1, 2):
            table(tmp_path / variant / f"seed_{seed}" / "scalars.csv", {"a": [seed, seed]})
    output = tmp_path / "learning_curves.csv"
    assert main(["--config", str(config), "--output", str(output)]) == 0
    curves = pd.read_csv(output)
    assert curves["variant"].tolist() == ["base", "base", "other", "other"]
    assert curves["samples"].tolist() == [40, 80] * 2
    assert curves["mean"].tolist() == [1.5] * 4


def test_a_missing_seed_is_an_error_that_names_it_unless_allowed(tmp_path, capsys):
    config = write_config(tmp_path, variants=("base",))
    table(tmp_path / "base" / "seed_1" / "scalars.csv", {"a": [1]})
    command = ["--config", str(config), "--output", str(tmp_path / "out.csv")]
    assert main(command) == 2
    assert "seed_2/scalars.csv: no such file" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
    assert main([*command, "--allow-missing"]) == 0
    assert pd.read_csv(tmp_path / "out.csv")["n"].tolist() == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [("iteration,a\n", "no rows"), ("iteration,a\n2,1\n1,1\n", "must increase"), ("x\n1\n", "no column")],
)
def test_a_malformed_table_is_an_error_that_names_it(tmp_path, capsys, content, message):
    (tmp_path / "bad.csv").write_text(content)
    assert main(["--runs", f"a={tmp_path / 'bad.csv'}", "--output", str(tmp_path / "o.csv")]) == 2
    assert message in (told := capsys.readouterr().err) and "bad.csv" in told


@pytest.mark.parametrize(
    "wrong",
    [["--runs", "a.csv"], ["--runs", "a=b.csv", "--confidence", "1"], ["--runs", "a=b", "--resamples", "0"]],
)
def test_bad_arguments_are_one_sentence(tmp_path, capsys, wrong):
    assert main([*wrong, "--output", str(tmp_path / "o.csv")]) == 2
    assert capsys.readouterr().err.startswith("error: --")


def test_repeated_it_is_the_same_to_the_byte(tmp_path):
    seeds = [{"a": np.random.default_rng(i).normal(size=30).tolist()} for i in range(7)]
    aggregate(tmp_path, default=seeds)
    first = (tmp_path / "curves.csv").read_bytes()
    aggregate(tmp_path, default=seeds)
    assert (tmp_path / "curves.csv").read_bytes() == first
