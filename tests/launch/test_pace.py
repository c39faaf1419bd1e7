"""Training's progress as lines for whoever started the workflow."""

from manyseeds.launch.pace import Pace
from manyseeds.runs.console import iteration_block

SCALARS = {
    "Perf/total_fps": 1000.0,
    "Perf/collection_time": 0.5,
    "Perf/learning_time": 0.5,
    "Policy/mean_std": 1.0,
    "Train/mean_reward": 3.25,
    "Train/mean_episode_length": 200.0,
    "Metrics/success_rate": 0.424,
}


def said(pace: Pace, iteration: int, now: float) -> list[str]:
    """What is said of the block that training prints, with a second for every iteration."""
    block = iteration_block(
        iteration, 1000, SCALARS, timesteps=1, iteration_time=1.0, elapsed=float(iteration), order=()
    )
    heard = (pace.heard(line, now) for line in block.splitlines())
    return [line for line in heard if line is not None]


def test_a_line_comes_after_ten_seconds_and_then_after_pauses_that_double() -> None:
    pace = Pace(0.0)
    spoken = {now: lines for now in range(1, 1000) if (lines := said(pace, now, now))}
    assert list(spoken) == [10, 30, 70, 150, 310, 610, 910]
    assert spoken[150] == ["15% (iteration 150 of 1,000), 00:14:10 left, reward 3.25, success 42%"]


def test_nothing_is_said_of_the_last_iteration_and_of_other_output() -> None:
    pace = Pace(0.0)
    assert said(pace, 1000, 1e6) == []
    assert pace.heard("[INFO] Saved checkpoint to: model_1000.pt", 1e6) is None
