"""How long an experiment takes, said before it starts."""

import json
import re
from pathlib import Path

import pytest

from manyseeds import cli
from manyseeds.config import Experiment
from manyseeds.config.loading import load
from manyseeds.core.layout import RUN_RECORD
from manyseeds.tasks import registry
from manyseeds.workflow import forecast
from manyseeds.workflow.forecast import Speed, makespan

CONFIG = """
experiment: mine
task: cart_pole
device: cpu
seeds: [1, 2, 3]
train: {num_envs: 64, max_iterations: 100, save_interval: 50, threads: 1}
evaluate: {episodes: 100}
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(CONFIG)
    return load(["mine.yaml"]).described(registry.describe("cart_pole"))


@pytest.mark.parametrize(
    ("jobs", "cores", "end"),
    [
        ([], 2, 0.0),
        ([(10, 1)] * 3, 1, 30.0),
        ([(10, 1)] * 3, 2, 20.0),
        ([(10, 1), (4, 1), (5, 1)], 2, 10.0),
        ([(10, 1), (4, 1), (5, 2)], 2, 15.0),
        ([(5, 8)], 2, 5.0),
    ],
)
def test_jobs_start_in_their_order_as_soon_as_they_have_their_cores(jobs: list, cores: int, end: float) -> None:
    assert makespan(jobs, cores) == end


def test_the_sentence_adds_up_training_evaluation_and_the_starts_of_jobs(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three runs follow each other: 100 iterations of 1 s, 100 x 2 x 300 steps of 1 ms, two starts of 10 s."""
    monkeypatch.setattr(forecast, "measure", lambda *_: Speed(1.0, 1e-3))
    least = 2 * (100 + 60 + 20) + 4 * 10
    most = 2 * (1.7 * 160 + 20) + 4 * 10
    text = forecast.forecast(experiment, 2, 10.0)
    assert text.startswith("mine: 3 runs of 100 iterations. The rest takes")
    assert f"{least / 60:.0f} min to {most / 60:.0f} min with 2 cores" in text


def test_evaluation_under_factors_is_played_once_for_each_condition(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three runs follow each other: 100 iterations of 1 s, 100 x (2 + 4) x 300 steps of 1 ms, two starts."""
    monkeypatch.setattr(forecast, "measure", lambda *_: Speed(1.0, 1e-3))
    evaluate = experiment.evaluate.model_copy(update={"factors": {"action_scale": [50], "cart_range": [2.0]}})
    text = forecast.forecast(experiment.model_copy(update={"evaluate": evaluate}), 2, 10.0)
    assert f"The rest takes {(2 * (100 + 180 + 20) + 4 * 10) / 60:.0f} min to" in text


def test_finished_runs_are_not_counted(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "measure", lambda *_: Speed(1.0, 1e-3))
    for seed in (1, 2):
        run = Path("results/mine/default") / f"seed_{seed}"
        run.mkdir(parents=True)
        (run / "episodes.csv").touch()
        (run / RUN_RECORD).write_text(json.dumps({"config": {"train": {"max_iterations": 100}}}))
        monkeypatch.setattr(forecast.Watcher, "of_experiment", finished(seed))
    assert "2 are finished. The rest takes" in forecast.forecast(experiment, 2, 1.0)


def finished(seeds: int):
    """A stand-in for `Watcher.of_experiment`: the first runs are complete."""
    from manyseeds.launch.status import Progress

    return lambda *_: [Progress(f"default/seed_{s}", "x", 100 if s <= seeds else 0, 100) for s in (1, 2, 3)]


def test_it_is_measured_with_the_experiment_s_own_numbers(experiment: Experiment) -> None:
    (variant,) = experiment.variants
    speed = forecast.measure(experiment, variant, 0.0)
    assert 0 < speed.sample_s * 64 * 16 < speed.iteration_s


def test_a_gpu_and_another_trainer_are_not_guessed(experiment: Experiment) -> None:
    there = experiment.model_copy(update={"device": "cuda", "simulator": "mujoco_warp"})
    assert "make watch" in forecast.forecast(there, 2, 1.0)
    words = "train {seed} {num_envs} {max_iterations} {save_interval}"
    lab = {"name": "lab", "command": words, "logs": "*"}
    play = {"command": "play {checkpoint} {episodes} {seed} {output}"}
    for trainer in (lab, lab | {"evaluate": play}):
        another = load(["mine.yaml"], {"trainer": trainer})
        assert "How long lab takes is not known" in forecast.forecast(another, 2, 1.0)


def test_more_environments_than_are_measured_take_longer_in_proportion(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    (variant,) = experiment.variants
    monkeypatch.setattr(forecast, "MOST_ENVS", 4)
    speed = forecast.measure(experiment, variant, 0.0)
    assert speed.iteration_s > 16 * (4 * 16 * speed.sample_s)


def test_a_training_that_does_not_work_stops_nothing_here(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("reward is not finite in iteration 1")

    monkeypatch.setattr(forecast, "measure", breaks)
    assert forecast.main(["mine.yaml"]) == 0
    assert (
        capsys.readouterr().out == "mine: how long it takes cannot be measured: reward is not finite in iteration 1\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing.yaml"], "error: nothing.yaml"),
        (["mine.yaml", "--cores", "0"], "error: --cores is 0; it must be a number of at least 1, or all."),
    ],
)
def test_bad_input_is_one_sentence(
    experiment: Experiment, capsys: pytest.CaptureFixture, arguments: list[str], sentence: str
) -> None:
    assert cli.main(["forecast", *arguments]) == 2
    assert capsys.readouterr().err.startswith(sentence)


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "10 s"), (44, "40 s"), (200, "3 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_times_are_rounded_as_one_says_them(seconds: float, said: str) -> None:
    assert forecast._rounded(seconds) == said
    assert re.fullmatch(r"[\d.]+ (s|min|h)", said)
