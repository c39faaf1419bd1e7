"""Success-rate tables: the seed is the unit, the last checkpoint is reported, and no interval is invented."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.synthetic_results import SAMPLES_PER_ITERATION, make_results, write_config
from helpers.verbs import verb
from manyseeds import statistics
from manyseeds.analysis.data import Data
from manyseeds.analysis.results import find_results
from manyseeds.core.layout import REPOSITORY
from manyseeds.report.tables import text
from manyseeds.report.tables.formats import FORMATS
from manyseeds.report.tables.text import final_grid, summary_grid
from manyseeds.tasks.lift_object.description import DESCRIPTION

main = verb("tables")


FILES = [f"success_rates{part}.csv" for part in ("", "_over_seeds", "_final", "_compared", "_effects", "_sources")]
FILES += [f"success_rates.{suffix}" for suffix in FORMATS]


def write_episodes(folder: Path, seed: int, reached: dict[int, list[int]], variant: str = "default") -> Path:
    """Episodes of one run with given outcomes by iteration; what is reached is held."""
    run = folder / variant / f"seed_{seed}"
    run.mkdir(parents=True)
    rows = [
        [iteration, episode, 0.5, 0, 0.5, 0, 0.3, flag, flag, 0, 1.5 if flag else np.nan, 0.01, 20.0]
        for iteration, flags in reached.items()
        for episode, flag in enumerate(flags)
    ]
    columns = (
        "iteration,episode,object_x,object_y,target_x,target_y,target_z,reached,held,dropped,"
        "first_reached_s,final_distance,return"
    )
    table = pd.DataFrame(rows, columns=columns.split(","))
    table = table.assign(**{name: 0 for name in DESCRIPTION.columns if name not in table})
    table.to_csv(run / "episodes.csv", index=False)
    runs = [path.parts[-2:] for path in folder.glob("*/seed_*")]
    write_config(folder, sorted({name for name, _ in runs}), sorted({int(seed[5:]) for _, seed in runs}))
    return run / "episodes.csv"


def tables_of(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Rates, rates over seeds and the Markdown table of the one experiment in a folder."""
    (results,) = find_results(folder)
    data = Data(results)
    return data.rates, data.rates_over_seeds, FORMATS["md"]([final_grid(data)], "made by nobody")


@pytest.mark.parametrize(
    ("widening", "words"),
    [
        ((1.0, 1.02), "they would be up to 2 % narrower."),
        ((8.62,), "they would be up to 88 % narrower."),
        ((1.001, np.nan), "they would be as wide."),
        ((0.99,), "they would be as wide."),
        ((np.inf,), "nearly all of their width is for new episodes."),
        ((np.nan,), "are for new seeds and new episodes."),
        ((), "Intervals are for the episodes that were played."),
    ],
)
def test_how_much_wider_intervals_for_new_episodes_are_is_said_in_words_that_can_be_true(widening, words) -> None:
    note = text._interval_note(SimpleNamespace(sources=pd.DataFrame({"widening": list(widening)}, dtype=float)))
    assert note.endswith(words)


def test_the_summary_has_a_row_per_variant_with_the_numbers_of_the_table(results: Path) -> None:
    data = Data(find_results(results)[0])
    summary, final = summary_grid(data), final_grid(data)
    assert [row[0] for row in summary.rows] == ["default", "low_entropy"]
    for row in summary.rows:
        means = next(cells for cells in final.rows if cells[0] == row[0] and cells[1] == "mean, 3 seeds")
        ends = next(cells for cells in final.rows if cells[0] == row[0] and cells[1] == "min to max")
        assert row[1:] == ("3", means[2], means[3], ends[3], means[4], ends[4])
    assert "never of the best one" in summary.notes[0] and "95 % interval over seeds" in summary.notes[0]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("results") / "lift", variants=("default", "low_entropy"))


def test_labels_stand_for_the_variants_in_the_tables_and_csv_files_keep_the_names(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", ("a", "b"), episodes=20, labels={"a": "PPO & π"}, baseline="a")
    assert main([str(folder)]) == 0
    assert "| PPO & π | 42 |" in (folder / "success_rates.md").read_text()
    assert "| b | PPO & π |" in (folder / "success_rates.md").read_text()
    assert r"PPO \& π" in (folder / "success_rates.tex").read_text()
    assert set(pd.read_csv(folder / "success_rates.csv")["variant"]) == {"a", "b"}


def test_rates_are_shares_of_each_runs_own_episodes(results: Path) -> None:
    rates, _, _ = tables_of(results)
    assert len(rates) == 2 * 3 * 6
    episodes = pd.read_csv(results / "default" / "seed_43" / "episodes.csv")
    last = episodes[episodes["iteration"] == 60]
    row = rates[(rates["variant"] == "default") & (rates["seed"] == 43) & (rates["iteration"] == 60)].iloc[0]
    assert row["episodes"] == 50
    assert row["samples"] == 60 * SAMPLES_PER_ITERATION
    assert row["reached"] == last["reached"].mean()
    assert row["first_reached_s_mean"] == pytest.approx(last.loc[last["reached"] == 1, "first_reached_s"].mean())
    wilson = stats.binomtest(int(last["reached"].sum()), 50).proportion_ci(method="wilson")
    assert (row["reached_low"], row["reached_high"]) == pytest.approx((wilson.low, wilson.high))


def test_the_interval_over_seeds_takes_seeds_and_not_episodes_as_its_sample(results: Path) -> None:
    rates, over_seeds, _ = tables_of(results)
    shares = rates[(rates["variant"] == "default") & (rates["iteration"] == 40)]["reached"]
    row = over_seeds[(over_seeds["variant"] == "default") & (over_seeds["iteration"] == 40)].iloc[0]
    half = stats.t.ppf(0.975, 2) * stats.sem(shares)
    center = (150 * shares.mean() + 0.5) / 151  # half an episode is added
    logit = np.log(center / (1 - center)) + half / (center * (1 - center)) * np.array([-1, 1])
    low, high = 1 / (1 + np.exp(-logit))
    assert row["seeds"] == 3
    assert row["reached_mean"] == pytest.approx(shares.mean())
    assert (row["reached_low"], row["reached_high"]) == pytest.approx((low, high))
    assert (row["reached_min"], row["reached_max"]) == (shares.min(), shares.max())


def test_the_last_checkpoint_is_reported_and_not_the_best(tmp_path: Path) -> None:
    write_episodes(tmp_path, 1, {10: [1] * 10, 20: [1] * 4 + [0] * 6})
    _, _, markdown = tables_of(tmp_path)
    assert "| default | 1 | 20 | 40 [" in markdown
    assert "100" not in markdown.split("Rates of")[0]


def test_one_seed_gets_no_interval_over_seeds(tmp_path: Path) -> None:
    write_episodes(tmp_path, 7, {10: [1] * 90 + [0] * 10})
    _, over_seeds, markdown = tables_of(tmp_path)
    assert over_seeds[["reached_low", "reached_high", "reached_iqm_low", "reached_iqm_high"]].isna().all(axis=None)
    assert "| **default** | **mean, 1 seed** | **10** | **90** | **90** |" in markdown
    assert "IQM, " not in markdown


@pytest.mark.parametrize("share", [0, 1])
def test_no_success_and_all_successes_have_intervals_of_their_episodes(tmp_path: Path, share: int) -> None:
    for seed in (1, 2, 3):
        write_episodes(tmp_path, seed, {10: [share] * 1000})
    rates, over_seeds, markdown = tables_of(tmp_path)
    assert (rates["reached"] == share).all()
    assert (rates["reached_high"] - rates["reached_low"] > 0.003).all()
    assert over_seeds["reached_mean"].item() == share
    assert over_seeds["reached_high"].item() - over_seeds["reached_low"].item() == pytest.approx(0.0027, abs=0.0001)
    assert ("**100.0 [99.7, 100.0]**" if share else "**0.0 [0.0, 0.3]**") in markdown
    assert ("100.0 [99.6, 100.0]" if share else "0.0 [0.0, 0.4]") in markdown
    assert rates["first_reached_s_mean"].isna().all() == (share == 0)


def test_intervals_over_seeds_stay_between_0_and_1_without_being_cut(tmp_path: Path) -> None:
    for seed, failures in ((1, 0), (2, 0), (3, 30)):
        write_episodes(tmp_path, seed, {10: [1] * (100 - failures) + [0] * failures})
    _, over_seeds, _ = tables_of(tmp_path)
    assert 0 < over_seeds["reached_low"].item() < 0.9 < over_seeds["reached_high"].item() < 1


def test_a_seed_without_the_last_checkpoint_is_named_and_left_out(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_episodes(tmp_path, seed, {10: [1, 0], 20: [1, 1]})
    write_episodes(tmp_path, 3, {10: [0, 0]})
    _, over_seeds, markdown = tables_of(tmp_path)
    assert over_seeds["seeds"].tolist() == [3, 2]
    assert "default seed 3 is left out: its last checkpoint is 10 and not 20" in markdown
    assert "mean, 2 seeds" in markdown


def test_a_run_that_was_not_evaluated_yet_does_not_count(results: Path, tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift")
    (folder / "default" / "seed_44" / "episodes.csv").unlink()
    _, over_seeds, _ = tables_of(folder)
    assert (over_seeds["seeds"] == 2).all()


def test_samples_are_missing_and_not_guessed_without_aggregated_curves(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1,))
    (folder / "learning_curves.csv").unlink()
    rates, over_seeds, _ = tables_of(folder)
    assert rates["samples"].isna().all() and over_seeds["samples"].isna().all()


def test_the_command_writes_every_table_the_same_to_the_byte_when_repeated(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(results)]) == 0
    assert "mean, 3 seeds" in capsys.readouterr().out
    first = {name: (results / name).read_bytes() for name in FILES}
    assert main([str(results)]) == 0
    assert {name: (results / name).read_bytes() for name in FILES} == first
    over_seeds = pd.read_csv(results / "success_rates_over_seeds.csv")
    assert over_seeds["variant"].drop_duplicates().tolist() == ["default", "low_entropy"]


def test_a_folder_of_experiments_gets_tables_in_each(tmp_path: Path) -> None:
    for name in ("first", "second"):
        make_results(tmp_path / name, seeds=(1,))
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "first" / "success_rates.md").is_file()
    assert (tmp_path / "second" / "success_rates.md").is_file()


def test_variants_with_special_characters_come_through_every_format(tmp_path: Path) -> None:
    write_episodes(tmp_path, 1, {10: [1, 0]}, variant="a&b_50%<i>|x")
    assert main([str(tmp_path)]) == 0
    assert r"a\&b\_50\%\textless{}i\textgreater{}\textbar{}x" in (tmp_path / "success_rates.tex").read_text()
    assert "a&amp;b_50%&lt;i&gt;|x" in (tmp_path / "success_rates.html").read_text()
    assert r"a&b_50%&lt;i>\|x" in (tmp_path / "success_rates.md").read_text()


def test_every_row_of_the_html_table_has_every_column(results: Path) -> None:
    class Counter(HTMLParser):
        rows: list[int]

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag == "tr":
                self.rows.append(0)
            elif tag in ("td", "th"):
                self.rows[-1] += 1

    main([str(results)])
    counter = Counter()
    counter.rows = []
    counter.feed((results / "success_rates.html").read_text())
    # Of two variants seeds, mean, other estimate, extremes and further statistics; the comparison; four sources of
    # uncertainty.
    rates = counter.rows.index(8)
    assert rates >= 1 + 2 * 6 and counter.rows == [7] * rates + [8] * 2 + [7] * 5


def test_latex_has_as_many_columns_in_every_row_and_closes_what_it_opens(results: Path) -> None:
    main([str(results)])
    latex = (results / "success_rates.tex").read_text()
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    counts = [row.count(" & ") for row in rows]
    assert (rates := counts.index(7)) >= 1 + 2 * 6 and counts == [6] * rates + [7] * 2 + [6] * 5
    assert latex.count("{") == latex.count("}")
    for name in ("table*", "tabular"):
        assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}") == 3


@pytest.mark.latex
@pytest.mark.parametrize(
    "preamble",
    [r"\documentclass[twocolumn]{article}", r"\documentclass{article}\usepackage[textwidth=6.5in]{geometry}"],
)
def test_latex_compiles_and_fits_the_page(tmp_path: Path, preamble: str) -> None:
    """Also with a name that is special to TeX, and with seeds that are all alike."""
    folder = make_results(tmp_path / "lift", ("default", "a&b_50%#x"), seeds=(1, 2, 3), finals=(1.0, 0.8))
    assert main([str(folder)]) == 0
    document = rf"{preamble}\usepackage{{booktabs}}\begin{{document}}\input{{success_rates}}\end{{document}}"
    (folder / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "Overfull" not in result.stdout
    assert (folder / "paper.pdf").stat().st_size > 10_000


def test_tables_say_in_their_metadata_which_runs_made_them(results: Path) -> None:
    main([str(results)])
    for suffix in FORMATS:
        text = (results / f"success_rates.{suffix}").read_text()
        assert "experiment lift; default: seeds 42, 43, 44; low_entropy: seeds 42, 43, 44; inputs sha256 " in text


def spoil(path: Path, fault: str) -> None:
    table = pd.read_csv(path)
    if fault == "column missing":
        table = table.drop(columns="held")
    elif fault == "flag":
        table["reached"] = table["reached"].astype(float)
        table.loc[3, "reached"] = 0.5
    elif fault == "repeated":
        table = pd.concat([table, table.iloc[:1]])
    elif fault == "unequal":
        table = table.iloc[:-1]
    elif fault == "iteration":
        table["iteration"] = table["iteration"].astype(object)
        table.loc[3, "iteration"] = "ten"
    elif fault == "no rows":
        table = table.iloc[:0]
    table.to_csv(path, index=False)
    if fault == "empty":
        path.write_bytes(b"")
    elif fault == "binary":
        path.write_bytes(bytes(range(128, 256)) * 4)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("column missing", "column 'held' is missing"),
        ("flag", "column 'reached' must be 0 or 1"),
        ("repeated", "appears twice"),
        ("unequal", "checkpoint 20 has 3 episodes where an earlier one has 4"),
        ("iteration", "column 'iteration' must hold whole numbers"),
        ("no rows", "no rows"),
        ("empty", "not readable as a CSV file"),
        ("binary", "not readable as a CSV file"),
    ],
)
def test_malformed_episodes_are_one_sentence_that_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    path = write_episodes(tmp_path, 1, {10: [1, 0, 1, 1], 20: [1, 1, 1, 1]})
    spoil(path, fault)
    assert main([str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {path}: ") and message.count("\n") == 1
    assert words in message
    assert not (tmp_path / "success_rates.csv").exists()


@pytest.mark.parametrize("what", ["missing", "nothing in it", "a run itself"])
def test_a_folder_without_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    folder = tmp_path / "results"
    if what == "nothing in it":
        folder.mkdir()
    elif what == "a run itself":
        folder = write_episodes(folder, 1, {10: [1]}).parent
    assert main([str(folder)]) == 2
    assert str(folder) in capsys.readouterr().err


def test_runs_that_were_not_evaluated_at_all_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_results(tmp_path / "lift", seeds=(1,))
    (folder / "default" / "seed_1" / "episodes.csv").unlink()
    assert main([str(folder)]) == 2
    assert "evaluate the checkpoints first" in capsys.readouterr().err


def test_seeds_evaluated_on_other_episodes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_episodes(tmp_path, 1, {10: [1, 0]})
    path = write_episodes(tmp_path, 2, {10: [1, 0]})
    table = pd.read_csv(path)
    table.loc[1, "object_x"] += 0.01
    table.to_csv(path, index=False)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: other evaluation episodes than those of the other")


def test_earlier_checkpoints_may_have_played_the_first_episodes_only(tmp_path: Path) -> None:
    paths = [write_episodes(tmp_path, seed, {10: [1, 0, 1, 1], 20: [1, 1, 0, 1]}) for seed in (1, 2)]
    for path in paths:
        table = pd.read_csv(path)
        table[(table["iteration"] == 20) | (table["episode"] < 2)].to_csv(path, index=False)
    assert main([str(tmp_path)]) == 0
    rates = pd.read_csv(tmp_path / "success_rates.csv")
    assert rates["episodes"].tolist() == [2, 4, 2, 4]
    assert rates["reached"].tolist() == [0.5, 0.75, 0.5, 0.75]


def test_the_same_checkpoint_of_two_seeds_must_have_played_the_same_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episodes(tmp_path, 1, {10: [1, 0], 20: [1, 1, 0, 1]})
    path = write_episodes(tmp_path, 2, {10: [1, 0, 1], 20: [1, 1, 0, 1]})
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: other evaluation episodes than those of the other")


def test_variants_are_compared_over_seeds_on_the_same_episodes(results: Path) -> None:
    main([str(results)])
    table = pd.read_csv(results / "success_rates_compared.csv").set_index("outcome")
    rates = pd.read_csv(results / "success_rates.csv")
    rates = rates[rates["iteration"] == 60].groupby("variant")["reached"]
    one, other = rates.get_group("default"), rates.get_group("low_entropy")
    row = table.loc["reached"]
    assert (row["a"], row["b"], row["seeds_a"], row["seeds_b"]) == ("default", "low_entropy", 3, 3)
    assert row["difference"] == pytest.approx(one.mean() - other.mean())
    alone = statistics.compare(one, other, episodes=50)
    assert row["low"] <= alone.low + 1e-9 and alone.high <= row["high"] + 1e-9  # new episodes add to it
    assert row["p"] == row["p_corrected"] >= alone.p - 1e-9
    assert row["exact_p"] == pytest.approx(0.1)
    assert row["episode_error"] >= 0 and row["widening"] >= 1
    assert "low_entropy |" in (results / "success_rates.md").read_text().split("A - B")[-1]


def test_variants_of_different_tasks_are_compared_by_their_rates(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_episodes(tmp_path, seed, {10: [1, 0, seed - 1]}, variant="wide")
        write_episodes(tmp_path, seed, {20: [1, 1]}, variant="narrow")
    assert main([str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "success_rates_compared.csv")
    assert len(table) == 2 and table["episode_error"].isna().all()


def test_variants_without_any_spread_get_the_interval_of_their_episodes(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_episodes(tmp_path, seed, {10: [1, 1]}, variant="good")
        write_episodes(tmp_path, seed, {10: [0, 0]}, variant="bad")
    assert main([str(tmp_path)]) == 0
    row = pd.read_csv(tmp_path / "success_rates_compared.csv").iloc[0]
    assert row["difference"] == -1 and row["improvement"] == 0
    assert row["low"] == -1 < row["high"] < 1 and row["p"] > 0.05  # of four episodes each
    assert row[["improvement_low", "improvement_high"]].isna().all()  # two seeds each


def test_one_variant_is_compared_with_nothing(tmp_path: Path) -> None:
    write_episodes(tmp_path, 1, {10: [1, 0]})
    assert main([str(tmp_path)]) == 0
    assert len(pd.read_csv(tmp_path / "success_rates_compared.csv")) == 0
    assert "A - B" not in (tmp_path / "success_rates.md").read_text()


def test_the_readme_of_the_results_explains_every_column_and_file_of_the_tables(results: Path) -> None:
    main([str(results)])
    readme = (REPOSITORY / "results" / "README.md").read_text()
    for path in results.glob("success_rates*"):
        assert f"`{path.name}`" in readme or f"`{path.suffix}`" in readme
    for start in DESCRIPTION.starts:
        assert f"| `{start.name}` | {start.unit} | {start.title} |" in readme
    for outcome in DESCRIPTION.outcomes:
        unit = "0 or 1" if outcome.kind == "share" else outcome.unit
        row = f"| `{outcome.name}` | {unit} | {outcome.meaning} |"
        assert row in readme, f"results/README.md lacks the row {row}"
    assert "`<share>`" in readme and "`<measure>_mean`" in readme
    means = [f"{outcome.name}_mean" for outcome in DESCRIPTION.measures]
    for path in [*results.glob("success_rates*.csv"), results / "default" / "seed_42" / "episodes.csv"]:
        for column in pd.read_csv(path, nrows=0).columns:
            explained = f"`{column}`" in readme or column.startswith("held_") or column in means
            assert explained, f"results/README.md lacks `{column}` of {path.name}"
