"""What is played: one policy or two in step, at the speed of life or another, while their trainings go on."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manyseeds.core.errors import UserError
from manyseeds.core.layout import RUN_RECORD, checkpoints
from manyseeds.evaluation.player.runs import find_runs, newest
from manyseeds.evaluation.player.simulation import Simulation

if TYPE_CHECKING:
    from torch import Tensor

NEWEST = "newest"
"""Stands for the last checkpoint so far, whichever that is."""
LONGEST_LAG = 0.25
"""Seconds that a slow machine may catch up; what is more is left out."""


class Choice:
    """A run and a checkpoint of it, and the simulation in which its policy acts.

    Args:
        runs: folders of runs by name; shared, and renewed as runs begin.
        run: the name of the first one.
        checkpoint: the name of a checkpoint, or `NEWEST`.

    Attributes:
        simulation: None while the run cannot be played; `problem` says why.
        problem: a sentence for the user; "" when the policy acts.

    Raises:
        UserError: when the run or the checkpoint cannot be played.
    """

    def __init__(self, runs: dict[str, Path], run: str, checkpoint: str = NEWEST) -> None:
        self.runs, self.run, self.checkpoint = runs, run, checkpoint
        self.simulation: Simulation | None = None
        self.problem = ""
        self._loaded: Path | None = None
        self._update()

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.runs[self.run]

    def checkpoints(self) -> list[str]:
        """Return the names that `choose` takes: `NEWEST`, then the checkpoints from the last to the first."""
        return [NEWEST, *(path.name for path in reversed(checkpoints(self.folder).values()))]

    def choose(self, run: str, checkpoint: str = NEWEST) -> None:
        """Play another run or checkpoint; if that is impossible, say so in `problem`."""
        if run != self.run:
            self.close()
        self.run, self.checkpoint = run, checkpoint
        self.follow()

    def follow(self) -> None:
        """Take a newer checkpoint if the training has left one and the newest was asked for."""
        try:
            self._update()
        except UserError as error:
            self.problem = str(error)

    def _update(self) -> None:
        path = newest(self.folder) if self.checkpoint == NEWEST else self.folder / self.checkpoint
        if path is None:
            ended = (self.folder / RUN_RECORD).is_file()
            self.problem = (
                f"{self.run} holds no checkpoint." if ended else f"Waiting for {self.run}'s first checkpoint."
            )
            return
        if self.simulation is None:
            self.simulation = Simulation(self.folder)
        if path != self._loaded or self.simulation.iteration is None:
            self.simulation.load(path)
            self._loaded = path
        self.problem = ""

    def close(self) -> None:
        """Free the simulation."""
        if self.simulation is not None:
            self.simulation.close()
        self.simulation = self._loaded = None


class Player:
    """Plays what is chosen.

    Args:
        paths: what the user named, as `find_runs` takes it; the second, if any, is played beside the first.

    Attributes:
        choices: one, or two that meet the same episodes.
        runs: folders of the runs to choose from, by name.
        paused: whether only `step` goes on.
        speed: seconds of simulation in a second.
        next_episode: whether the next episode starts when one has lasted its time; else it goes on without end.
        noise: whether actions are drawn from the policies' distributions, as in training.
        episode: the number of the evaluation episode.

    Raises:
        UserError: when there is no run, or the first ones cannot be played.
    """

    def __init__(self, paths: list[Path], episode: int = 0, speed: float = 1.0) -> None:
        self._paths = paths
        self.runs: dict[str, Path] = {}
        self.paused, self.next_episode, self.speed, self.noise = False, True, speed, False
        self.episode = episode
        self._due = self._time = 0.0
        self.choices: list[Choice] = []
        for path in paths:
            found = find_runs(path)
            self.runs.update(found)
            checkpoint = path.name if path.is_file() else NEWEST
            self.choices.append(Choice(self.runs, next(iter(found)), checkpoint))
        self.restart()

    @property
    def simulations(self) -> list[Simulation]:
        """The simulations that there are."""
        return [choice.simulation for choice in self.choices if choice.simulation is not None]

    def beside(self, wanted: bool) -> None:
        """Play a second policy beside the first, to begin with the same; or only the first."""
        if wanted and len(self.choices) == 1:
            self.choices.append(Choice(self.runs, self.choices[0].run, self.choices[0].checkpoint))
        elif not wanted and len(self.choices) == 2:
            self.choices.pop().close()
        self.restart()

    def choose(self, place: int, run: str, checkpoint: str = NEWEST) -> None:
        """Play another run or checkpoint in a place, and start the episode again if it is another run."""
        choice = self.choices[place]
        other = run != choice.run
        choice.choose(run, checkpoint)
        if other:
            self.restart()

    def follow(self) -> None:
        """Look for new runs and new checkpoints."""
        for path in self._paths:
            self.runs.update(find_runs(path))
        for choice in self.choices:
            fresh = choice.simulation is None
            choice.follow()
            if fresh and choice.simulation is not None:
                self.restart()

    def restart(self, episode: int | None = None) -> None:
        """Start an episode, the present one again by default."""
        self.episode = max(0, self.episode if episode is None else episode)
        for simulation in self.simulations:
            simulation.restart(self.episode)
        if self.simulations:
            self.episode = self.simulations[0].episode
        self._due = self._time = 0.0

    def toggle(self) -> None:
        """Pause, or go on."""
        self.paused = not self.paused

    def step_alone(self) -> None:
        """Pause, and go one step on."""
        self.paused = True
        self.step()

    def step(self) -> None:
        """Go one step of the first policy on, even if paused; at an episode's end start the next one, if wanted."""
        if not self.simulations:
            return
        if self.next_episode and all(simulation.ended for simulation in self.simulations):
            self.restart(self.episode + 1)
        self._time += self.simulations[0].step_dt
        for simulation in self.simulations:
            simulation.noise = self.noise
            for _ in range(round(self._time / simulation.step_dt) - simulation.steps):
                simulation.step()

    def move_target(self, shift: np.ndarray, rotation: np.ndarray | None = None) -> None:
        """Move the target of the first policy, as `Simulation.move_target`, and ask the other for the same."""
        if self.simulations:
            self.simulations[0].move_target(shift, rotation)
            self.set_command(self.simulations[0].command)

    def set_command(self, command: "Tensor") -> None:
        """Ask all policies that play the first one's task for something else, (c,)."""
        for simulation in self.simulations:
            if simulation.task.name == self.simulations[0].task.name:
                simulation.set_command(command)

    def advance(self, seconds: float) -> int:
        """Go on by what has passed on the wall's clock; return how many steps that were."""
        if self.paused or not self.simulations:
            self._due = 0.0
            return 0
        step_dt = self.simulations[0].step_dt
        self._due += min(seconds, LONGEST_LAG) * self.speed
        count = int(self._due / step_dt)
        self._due -= count * step_dt
        for _ in range(count):
            self.step()
        return count

    def close(self) -> None:
        """Free all simulations."""
        for choice in self.choices:
            choice.close()
