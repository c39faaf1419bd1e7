"""One environment of a run's task in which its policy acts, with a target that moves and bodies that can be pulled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
import torch
from torch import Tensor

from manyseeds.core.record import check_left
from manyseeds.evaluation.evaluate import Recording, evaluation_settings, evaluation_starts, make_evaluation_env
from manyseeds.learning.policy import Policy, read_params
from manyseeds.simulators import NonFiniteError
from manyseeds.simulators.model import adapt_model, load_model
from manyseeds.tasks import base

STIFFNESS = 10.0
"""Natural frequency of the spring that pulls a body, rad/s; MuJoCo's viewer has the same."""
NEAR = 1e-3
"""How far the marks of a turned target may be from where they should be, m."""
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True)
class Pull:
    """A spring between a point of a body and a point in space.

    Attributes:
        body: the body's number in the model.
        point: (3,) m, in the body's frame.
        towards: (3,) m, in the world's frame.
    """

    body: int
    point: np.ndarray
    towards: np.ndarray


class Simulation:
    """A policy in one environment of its task, always in MuJoCo on the CPU. Nothing ends an episode but `restart`.

    Args:
        folder: the run's folder, with its params.

    Attributes:
        task: the run's task.
        cfg: its numbers, as the experiment's evaluation changes them.
        episodes: how many evaluation episodes there are to start from.
        model: the task's MJCF with all that shows.
        data: where everything is; `step` and `restart` renew its positions.
        iteration: completed iterations of the loaded checkpoint; None before the first.
        noise: whether actions are drawn from the policy's distribution, as in training.
        pull: what pulls a body in the steps to come.
        changed: whether somebody has moved the target or pulled a body in this episode.
        broken: what was not finite in the last step; "" otherwise.

    Raises:
        UserError: when the run cannot be played: its params or its task are missing, damaged, changed or not allowed.
    """

    def __init__(self, folder: Path) -> None:
        settings = evaluation_settings(folder)
        params = read_params(folder)
        self._env = make_evaluation_env(
            params.env | {"simulator": "mujoco", "device": "cpu"},
            num_envs=1,
            threads=1,
            overrides=settings.overrides,
            run_dir=folder,
        )
        self.folder, self.task, self.cfg = folder, self._env.task, self._env.task_cfg
        self._policy = Policy(params.agent, self._env.get_observations(), self._env.num_actions)
        self._starts = evaluation_starts(self._env, settings.episodes, settings.seed)
        self.episodes = settings.episodes
        self.model = load_model(self.task, self.cfg, visual=True)
        self.data = mujoco.MjData(self.model)
        self.iteration: int | None = None
        self.noise = False
        self.pull: Pull | None = None
        self.restart(0)

    @property
    def step_dt(self) -> float:
        """Seconds of a step."""
        return float(self._env.step_dt)

    @property
    def episode_length(self) -> int:
        """Steps of a full episode."""
        return int(self._env.max_episode_length)

    @property
    def ended(self) -> bool:
        """Whether the episode has lasted its full time, or its physics failed."""
        return self.steps >= self.episode_length or bool(self.broken)

    @property
    def command(self) -> Tensor:
        """What the episode asks for, (c,) float32; a copy."""
        return self._env.state().command[0].clone()

    def load(self, checkpoint: Path) -> None:
        """Let the policy of a checkpoint act from now on.

        Raises:
            UserError: when the file is not the run's, is refused, is damaged or has another network.
        """
        check_left(checkpoint)
        self.iteration = self._policy.load(checkpoint)

    def restart(self, episode: int) -> None:
        """Start an evaluation episode; its number is taken modulo `episodes`."""
        self.episode = episode % self.episodes
        self._env.reset_to(self._starts[self.episode : self.episode + 1])
        torch.manual_seed(self.episode)  # noise is the same each time the episode starts
        self.steps, self.changed, self.broken = 0, False, ""
        self.rewards = dict.fromkeys(self.task.rewards, 0.0)
        self.sums = dict.fromkeys(self.task.rewards, 0.0)
        self._recording = Recording(self._env)
        self._see()

    def step(self) -> None:
        """Let the policy act once; without a checkpoint, or once something is not finite, nothing happens."""
        if self.iteration is None or self.broken:
            return
        if self.pull is not None:
            self._apply_pull(self.pull)
        try:
            with torch.inference_mode():
                actions = self._policy.model(self._env.get_observations(), stochastic_output=self.noise)
                self._env.step(actions)
                state = self._env.state()
                terms = base.rewards(self.task, self.cfg, state)[0].tolist()
        except NonFiniteError as error:
            self.broken = error.term
            return
        if self.pull is not None:
            self._apply_pull(None)
        # A second; a term is multiplied by the step's duration.
        self.rewards = {name: term / self.step_dt for name, term in zip(self.task.rewards, terms, strict=True)}
        if self.steps < self.episode_length:
            self.sums = {name: self.sums[name] + term for name, term in zip(self.sums, terms, strict=True)}
            self._recording.keep(self.steps, state)
        self.steps += 1
        self._see()

    def outcomes(self) -> Mapping[str, float]:
        """Judge the episode as far as it has been played; NaN where a measure has no value, nothing before a step."""
        steps = min(self.steps, self.episode_length)
        if not steps:
            return {}
        judged = self.task.judge(self.cfg, self._recording.trace(steps, self.command[None]))
        return {outcome.name: float(judged[outcome.name][0]) for outcome in self.task.description.outcomes}

    # The target.

    def marks(self) -> np.ndarray:
        """Return where the bodies that show the command are, (k, 3) m; k is 0 for a task that shows none."""
        return self._marks_of(self.command[None])[0].numpy()

    def move_target(self, shift: np.ndarray, rotation: np.ndarray | None = None) -> None:
        """Change the command so that its marks move; what the task cannot show stays as it is.

        Args:
            shift: (3,) m.
            rotation: (3, 3) about the centre of the marks. It is left out when no command looks like that.
        """
        marks = self._marks_of(self.command[None])[0]
        if not len(marks):
            return
        centre = marks.mean(0)
        moved = torch.as_tensor(shift, dtype=torch.float32)
        if rotation is not None and len(marks) > 1:
            turned = (marks - centre) @ torch.as_tensor(rotation, dtype=torch.float32).T + centre + moved
            command = self._fit(turned)
            if (self._marks_of(command[None])[0] - turned).norm(dim=1).max() < NEAR:
                self.set_command(command)
                return
        self.set_command(self._fit(marks + moved))

    def set_command(self, command: Tensor) -> None:
        """Ask the present episode for something else, (c,), and move the marks there."""
        state = self._env.state_dict()
        state["episode"][0, : len(command)] = command  # an episode's numbers begin with its command
        if len(marks := self._marks_of(command[None])[0]):
            self._change_physics(state, mocap_pos=marks.double().numpy())
        self._env.load_state_dict(state)
        self.changed = True
        self._see()

    def command_ranges(self) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest number that an evaluation episode commands, (c,) each."""
        return self._starts.command.amin(0), self._starts.command.amax(0)

    def command_names(self) -> list[str]:
        """Return what each number of the command is called: the start column that equals it, or its place."""
        names = []
        for place, numbers in enumerate(self._starts.command.T):
            same = (
                s for s in self.task.description.starts if torch.equal(self._starts.columns[s.name].float(), numbers)
            )
            start = next(same, None)
            unit = f" ({start.unit})" if start is not None and start.unit else ""
            names.append(f"{start.title}{unit}" if start is not None else f"command {place}")
        return names

    def _marks_of(self, commands: Tensor) -> Tensor:
        if self.task.show is None:
            return torch.empty(len(commands), 0, 3)
        return self.task.show(self.cfg, commands).float()

    def _fit(self, marks: Tensor) -> Tensor:
        """Return the command nearest to the present one whose marks are nearest to `marks` (k, 3), by Gauss-Newton."""
        command, tiny = self.command, 1e-3
        for _ in range(8):
            nudges = tiny * torch.eye(len(command))
            shown = self._marks_of(torch.cat((command[None], command + nudges, command - nudges))).flatten(1).double()
            ahead, behind = shown[1:].chunk(2)
            slopes = (ahead - behind).T / (2 * tiny)
            command = command + (torch.linalg.pinv(slopes, rtol=1e-4) @ (marks.flatten() - shown[0])).float()
        return command

    # Pulling.

    def can_pull(self, body: int) -> bool:
        """Return whether a body moves by itself."""
        return bool(self.model.body_weldid[body]) and self.model.body_mocapid[self.model.body_rootid[body]] < 0

    def _apply_pull(self, pull: Pull | None) -> None:
        """Set the force on a body for the steps to come; None takes it away."""
        forces = np.zeros((self.model.nbody, 6))
        if pull is not None:
            forces[pull.body] = self._force(pull)
            self.changed = True
        state = self._env.state_dict()
        self._change_physics(state, xfrc_applied=forces)
        self._env.load_state_dict(state)

    def _force(self, pull: Pull) -> np.ndarray:
        """Return force (N) and torque (N m) on a body, (6,): a critically damped spring on what its point weighs."""
        model, data = self.model, self.data
        mujoco.mj_setState(model, data, self._env.state_dict()["physics"][0].double().numpy(), _STATE)
        mujoco.mj_fwdPosition(model, data)
        point = data.xpos[pull.body] + data.xmat[pull.body].reshape(3, 3) @ pull.point
        jacobian, solved = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        mujoco.mj_jac(model, data, jacobian, None, point, pull.body)
        mujoco.mj_solveM(model, data, solved, jacobian)
        weight = 3 / max(np.trace(jacobian @ solved.T), 1e-9)
        frequency = min(STIFFNESS, 0.25 / self.step_dt)
        force = weight * (frequency**2 * (pull.towards - point) - 2 * frequency * jacobian @ data.qvel)
        return np.concatenate((force, np.cross(point - data.xipos[pull.body], force)))

    def _change_physics(self, state: dict[str, Tensor], **fields: np.ndarray) -> None:
        """Write fields of MjData into the physics of an environment's state."""
        mujoco.mj_setState(self.model, self.data, state["physics"][0].double().numpy(), _STATE)
        for name, values in fields.items():
            getattr(self.data, name)[:] = values
        physics = np.empty(state["physics"].shape[1])
        mujoco.mj_getState(self.model, self.data, physics, _STATE)
        state["physics"][0] = torch.from_numpy(physics)

    def _see(self) -> None:
        """Bring what the episode's command decides in `model`, and the positions in `data`, up to date."""
        adapt_model(self.model, self.task, self.cfg, self.command)
        mujoco.mj_setState(self.model, self.data, self._env.state_dict()["physics"][0].double().numpy(), _STATE)
        mujoco.mj_kinematics(self.model, self.data)

    def close(self) -> None:
        """Free what the environment holds."""
        self._env.close()
