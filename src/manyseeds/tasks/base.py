"""What a task is: data, and pure functions of a batched state that every simulator uses.

Everything is batched over `n` environments, in SI units and the robot's root frame (x forward, y left, z up), on
whatever device the tensors live. Nothing here knows a simulator.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.text import did_you_mean, shown

if TYPE_CHECKING:  # MuJoCo chooses its OpenGL when it is imported, so a task imports it as late as it can
    import mujoco

Range = tuple[float, float]
Cfg = TypeVar("Cfg", bound="TaskCfg")

TIME_OUT = "time_out"
"""The termination that every task has: the end of `episode_length_s`."""


@dataclass(frozen=True)
class TaskCfg:
    """The numbers that every task has; a task adds its own. Times in s.

    A number is a float, an int, a bool or a tuple of floats; a tuple of two is a range, the lower end first.
    """

    physics_dt: float = 0.01
    decimation: int = 2
    episode_length_s: float = 5.0

    # Randomness in every step, all off. Observations get uniform noise, this times the `Term.noise` of each. An action
    # is applied as many steps late as the episode draws, from the first to the second whole number. The body
    # `Task.pushed` gets a sudden velocity, up to this in x and in y, m/s, at random times this far apart on average.
    observation_noise: float = 0.0
    action_delay: Range = (0, 0)
    push_speed: float = 0.0
    push_interval_s: float = 5.0

    @property
    def step_dt(self) -> float:
        """Duration of one environment step in s."""
        return self.physics_dt * self.decimation

    @property
    def episode_length(self) -> int:
        """Steps of a full episode."""
        return round(self.episode_length_s / self.step_dt)


@dataclass
class State:
    """What the terms of a task are functions of; n environments. Some of it may be views that the next step changes.

    Attributes:
        qpos: (n, nq) float32 coordinates of the task's MJCF, rad and m.
        qvel: (n, nv) float32 velocities of the task's MJCF, rad/s and m/s.
        sites: (n, 3) positions of the sites that the task names, m.
        rotations: (n, 4) orientations of these sites, w x y z, w not negative.
        command: (n, c) what the episode asks for.
        action: (n, a) as the policy gave it.
        previous_action: (n, a) the one before; zeros after a reset.
        episode_length: (n,) steps done in the episode, the present one included.
        memory: (n, m) what `Task.remember` returned; zeros after a reset.
        memo: results of functions that are `shared`.
    """

    qpos: Tensor
    qvel: Tensor
    sites: Mapping[str, Tensor]
    rotations: Mapping[str, Tensor]
    command: Tensor
    action: Tensor
    previous_action: Tensor
    episode_length: Tensor
    memory: Tensor
    memo: dict[Any, Tensor] = field(default_factory=dict, init=False, repr=False)


def shared(func: Callable[[Any, State], Tensor]) -> Callable[[Any, State], Tensor]:
    """Compute a function of (cfg, state) once for a state, however many terms use it."""

    @wraps(func)
    def once(cfg: Any, state: State) -> Tensor:
        key = (once, id(cfg))
        if key not in state.memo:
            state.memo[key] = func(cfg, state)
        return state.memo[key]

    return once


@dataclass(frozen=True)
class Term:
    """An observation, a reward, a termination or a metric.

    Attributes:
        func: (cfg, state) -> (n, width) for an observation, (n,) for a reward or metric, (n,) bool for a termination.
        width: numbers of an observation.
        unit: unit and frame, for the documentation and for policy exports.
        noise: of an observation: it gets uniform noise between minus and plus this, times `TaskCfg.observation_noise`.
        mirror: of an observation: (cfg, values (..., width)) -> what they are in a mirror; see `Task.mirror`.
    """

    func: Callable[[Any, State], Tensor]
    width: int = 1
    unit: str = ""
    noise: float = 0.0
    mirror: Callable[[Any, Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Factor:
    """Numbers of the MJCF that an episode multiplies by a draw from the range in the cfg's field of the same name.

    The range (1, 1), which must be the field's default, leaves the MJCF as it is.

    Attributes:
        fields: arrays of the compiled model, such as "body_mass" or "actuator_gainprm", each with the columns that are
            multiplied; () stands for all columns.
        names: the bodies, geoms, pairs, joints (of arrays that begin with "dof") or actuators; () stands for all.
    """

    fields: Mapping[str, tuple[int, ...]]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Starts:
    """Where `n` episodes start and what they command.

    Attributes:
        qpos: (n, nq) float64 or float32, coordinates at rest; a simulator takes them in its own precision.
        command: (n, c) float32.
        columns: the numbers of `Description.starts` by name, (n,) each; needed of `Task.start` only.
        factors: (n, k) float32, what `draw_factors` returned; None where nothing differs between episodes.
    """

    qpos: Tensor
    command: Tensor
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    factors: Tensor | None = None

    def __len__(self) -> int:
        return len(self.qpos)

    def __getitem__(self, rows: Any) -> "Starts":
        factors = None if self.factors is None else self.factors[rows]
        return Starts(self.qpos[rows], self.command[rows], {key: x[rows] for key, x in self.columns.items()}, factors)

    def to(self, device: str | torch.device) -> "Starts":
        """Return the same on another device, without the columns."""
        factors = None if self.factors is None else self.factors.to(device)
        return Starts(self.qpos.to(device), self.command.to(device), factors=factors)


@dataclass(frozen=True)
class Trace:
    """Episodes as they were played, for `Task.judge`: the state after every step, t steps of n episodes, on the CPU.

    Attributes:
        qpos: (t, n, nq) float32.
        qvel: (t, n, nv) float32.
        sites: (t, n, 3) by name.
        rotations: (t, n, 4) by name, w x y z.
        command: (n, c).
        step_dt: s.
    """

    qpos: Tensor
    qvel: Tensor
    sites: Mapping[str, Tensor]
    rotations: Mapping[str, Tensor]
    command: Tensor
    step_dt: float

    def first_time(self, holds: Tensor) -> Tensor:
        """Return when a condition (t, n) first held in each episode, (n,) float64 in s; NaN where it never did."""
        steps = holds.int().argmax(0).double() + 1  # argmax returns the first of equals
        return torch.where(holds.any(0), steps * self.step_dt, torch.nan)


@dataclass(frozen=True, eq=False)
class Task:
    """A task. This object holds, or leads to, everything that is known about it.

    Attributes:
        name: what configs and logs call it.
        cfg: a frozen dataclass of numbers that extends `TaskCfg`. A reward's weight is its field `<term>_weight`.
        description: what tables and figures say of it.
        model: makes the MJCF. Its first camera takes the pictures.
        action_width: a.
        command_width: c.
        act: (cfg, actions (n, a)) -> controls (n, nu).
        observations: the parts of the observation, in their order.
        rewards: the terms, logged as Episode_Reward/<name>.
        terminations: besides the end of time, logged as Episode_Termination/<name>.
        success: whether the goal is met in a state, (n,) bool; the share of episodes in which it ever was is logged as
            Metrics/success_rate.
        metrics: numbers logged at the end of episodes as Metrics/<name>, such as the distance to the target.
        memory_width: m, numbers that terms need of earlier steps, such as how long a foot has been in the air.
        remember: (cfg, state) -> the memory after a step, (n, m), of a state that has the memory before it. Called once
            a step, before all terms, which get the state with the new memory.
        start: (cfg, n, generator) -> where evaluation episodes, the very first episodes of training, and training
            episodes without `train_start`, start; on the generator's device. If it draws all its numbers in one call,
            as `uniform` does, the first k of n episodes are the same for every n.
        train_start: the same for training episodes only.
        judge: (cfg, trace) -> the outcomes of `description` by name, (n,) each.
        factors: numbers of the MJCF that episodes may change, by the name of the cfg's field that is their range.
        adapt: (cfg, command (n, c)) -> numbers of the MJCF that follow from an episode's command, such as the size of
            an object: (array of the compiled model, name of its body or geom) -> (n, columns). The keys are the same
            for every command, zeros included. Collisions are looked for within the bounds of the MJCF, so its own sizes
            must be the largest. Factors multiply these numbers.
        pushed: the freely moving body that `TaskCfg.push_speed` pushes; "" where nothing can be pushed.
        mirror: (cfg, actions (..., a)) -> the actions that do the same in a mirror, such as left and right exchanged. A
            task has it if an episode and its mirror image are equally likely and have the same rewards; then every
            observation needs a `Term.mirror`. PPO's option `mirror_augmentation` learns from both.
        check_cfg: cfg -> sentences about bad numbers, such as "'object_z' is -1; it must be 0 or greater".
        sites: the sites of the MJCF that the terms use.
        show: (cfg, command (n, c)) -> positions of the MJCF's mocap bodies, (n, k, 3).
        controls: what policy exports call the output of `act`.
        console_rewards: the rewards in the order in which training prints them; by default that of `rewards`, in which
            they are added up.
        action_unit: unit and meaning of an action, for policy exports.
        control_unit: those of a control.
        kernels: module of an optional compiled step for the simulator mujoco; see `tasks.compiled`.
    """

    name: str
    cfg: type[TaskCfg]
    description: Description
    model: Callable[[Any], "mujoco.MjSpec"]
    action_width: int
    command_width: int
    act: Callable[[Any, Tensor], Tensor]
    observations: Mapping[str, Term]
    rewards: Mapping[str, Term]
    terminations: Mapping[str, Term]
    success: Callable[[Any, State], Tensor]
    start: Callable[[Any, int, torch.Generator], Starts]
    judge: Callable[[Any, Trace], Mapping[str, Tensor]]
    train_start: Callable[[Any, int, torch.Generator], Starts] | None = None
    metrics: Mapping[str, Term] = field(default_factory=dict)
    memory_width: int = 0
    remember: Callable[[Any, State], Tensor] | None = None
    factors: Mapping[str, Factor] = field(default_factory=dict)
    adapt: Callable[[Any, Tensor], Mapping[tuple[str, str], Tensor]] | None = None
    pushed: str = ""
    mirror: Callable[[Any, Tensor], Tensor] | None = None
    check_cfg: Callable[[Any], list[str]] = lambda cfg: []
    sites: tuple[str, ...] = ()
    show: Callable[[Any, Tensor], Tensor] | None = None
    controls: str = "controls"
    console_rewards: tuple[str, ...] = ()
    action_unit: str = "1"
    control_unit: str = ""
    kernels: str | None = None

    @property
    def observation_width(self) -> int:
        """Numbers of the whole observation."""
        return sum(term.width for term in self.observations.values())

    @property
    def termination_names(self) -> tuple[str, ...]:
        """All terminations, the end of time first."""
        return (TIME_OUT, *self.terminations)

    @property
    def episode_tags(self) -> tuple[str, ...]:
        """Tags logged when episodes end; rewards are those per second of a full episode, as in Isaac Lab."""
        return (
            *(f"Episode_Reward/{name}" for name in self.rewards),
            *(f"Episode_Termination/{name}" for name in self.termination_names),
            *(f"Metrics/{name}" for name in self.metrics),
            "Metrics/success_rate",
        )

    @property
    def console_tags(self) -> tuple[str, ...]:
        """The same tags as training prints them: rewards, metrics, terminations, as Isaac Lab's managers log them."""
        rewards = [f"Episode_Reward/{name}" for name in dict.fromkeys((*self.console_rewards, *self.rewards))]
        metrics = [tag for tag in self.episode_tags if tag.startswith("Metrics/")]
        return tuple(dict.fromkeys((*rewards, *metrics, *self.episode_tags)))


# What a simulator computes of a task.


def observe(task: Task, cfg: Any, state: State) -> Tensor:
    """Return the policy's observation, (n, observation_width)."""
    return torch.cat([term.func(cfg, state) for term in task.observations.values()], dim=1)


def mirrored(task: Task, cfg: Any, observations: Tensor) -> Tensor:
    """Return what observations (..., observation_width) are in a mirror, of a task that has `Task.mirror`."""
    parts = observations.split([term.width for term in task.observations.values()], dim=-1)
    terms = zip(task.observations.values(), parts, strict=True)
    return torch.cat([term.mirror(cfg, part) if term.mirror else part for term, part in terms], dim=-1)


def unweighted_rewards(task: Task, cfg: Any, state: State) -> Tensor:
    """Return every reward term, (n, k) float32 in the task's order, without weights."""
    return torch.stack([term.func(cfg, state).float() for term in task.rewards.values()], dim=1)


def rewards(task: Task, cfg: Any, state: State) -> Tensor:
    """Return every reward term, (n, k) in the task's order, weighted and times the step's duration."""
    terms = unweighted_rewards(task, cfg, state)
    return terms * reward_weights(task, cfg, terms.device)


@lru_cache(maxsize=64)
def reward_weights(task: Task, cfg: Any, device: torch.device | str = "cpu") -> Tensor:
    """Return the weights of the reward terms times the step's duration, (k,) float32. They are not to be changed."""
    weights = tuple(getattr(cfg, f"{name}_weight") for name in task.rewards)
    with torch.inference_mode(False):
        return constant(weights, torch.device(device)) * cfg.step_dt


def terminations(task: Task, cfg: Any, state: State) -> Tensor:
    """Return which terminations hold, (n, 1 + k) bool, the end of time first."""
    ended = [state.episode_length >= cfg.episode_length]
    return torch.stack(ended + [term.func(cfg, state) for term in task.terminations.values()], dim=1)


def metrics(task: Task, cfg: Any, state: State) -> Tensor:
    """Return the metrics, (n, k) float32; k may be 0."""
    values = [term.func(cfg, state).float() for term in task.metrics.values()]
    return torch.stack(values, dim=1) if values else state.qpos.new_zeros(len(state.qpos), 0)


def randomized(task: Task, cfg: Any) -> bool:
    """Return whether anything is random in an episode besides its start; the numbers of `Task.adapt` are."""
    return differs(task, cfg) or cfg.observation_noise > 0 or cfg.push_speed > 0 or task.adapt is not None


def randomizing(task: Task) -> tuple[str, ...]:
    """Return the numbers of a task by which `randomized` becomes true."""
    return ("observation_noise", "action_delay", "push_speed", *task.factors)


def differs(task: Task, cfg: Any) -> bool:
    """Return whether a factor or the delay of actions is not the same and neutral in all episodes."""
    return tuple(cfg.action_delay) != (0, 0) or any(tuple(getattr(cfg, name)) != (1, 1) for name in task.factors)


def draw_factors(task: Task, cfg: Any, n: int, generator: torch.Generator) -> Tensor | None:
    """Draw what `n` episodes multiply the MJCF's numbers by, in the order of `Task.factors`, then the delay in steps.

    The numbers behind the draws do not depend on the ranges: with the same generator, a factor alone is drawn as it is
    together with others.

    Returns:
        (n, factors + 1) float32 on the generator's device; None, and nothing is drawn, where nothing `differs`.
    """
    if not differs(task, cfg):
        return None
    first, last = cfg.action_delay
    drawn = uniform([*(getattr(cfg, name) for name in task.factors), (first, last + 1)], n, generator)
    drawn[:, -1] = drawn[:, -1].floor().clamp(max=last)  # rounding may reach the end of the range
    return drawn


def observation_noise(task: Task, cfg: Any, device: torch.device | str = "cpu") -> Tensor:
    """Return the largest noise of each number of the observation, (observation_width,) float32."""
    noise = tuple(cfg.observation_noise * t.noise for t in task.observations.values() for _ in range(t.width))
    return constant(noise, torch.device(device))


def _check_randomness(task: Task, cfg: Any) -> list[str]:
    """Return what is wrong with the numbers of randomness, a sentence each."""
    problems = at_least(cfg, 0, "observation_noise", "push_speed") + positive(cfg, "push_interval_s")
    if cfg.action_delay[0] < 0 or any(steps != int(steps) for steps in cfg.action_delay):
        problems.append(f"'action_delay' is {list(cfg.action_delay)}; it must be two whole numbers of 0 or greater")
    for name in task.factors:
        if not getattr(cfg, name)[0] > 0:
            problems.append(f"'{name}' is {list(getattr(cfg, name))}; its numbers must be greater than 0")
    if cfg.push_speed > 0 and not task.pushed:
        problems.append(f"'push_speed' is {cfg.push_speed}; it must be 0, because nothing of {task.name} can be pushed")
    if cfg.observation_noise > 0 and not any(term.noise for term in task.observations.values()):
        problems.append(
            f"'observation_noise' is {cfg.observation_noise}; it must be 0, because no observation of {task.name} has"
            " noise"
        )
    return problems


def check_terms(task: Task, cfg: Any, state: State) -> None:
    """Check that every term gives what it says.

    Raises:
        UserError: naming the term, its shape and the one it must have.
    """
    n = len(state.qpos)
    kinds = (
        ("observation", task.observations, True),
        ("reward", task.rewards, False),
        ("termination", task.terminations, False),
        ("metric", task.metrics, False),
        ("success", {"": Term(task.success)}, False),
    )
    for kind, terms, wide in kinds:
        for name, term in terms.items():
            wanted = (n, term.width) if wide else (n,)
            value = term.func(cfg, state)
            if tuple(value.shape) != wanted:
                raise UserError(
                    f"task {task.name}: {f'{kind} {name}'.strip()} has the shape {tuple(value.shape)} "
                    f"for {n} environments; it must be {wanted}."
                )
            if kind in ("termination", "success") and value.dtype != torch.bool:
                raise UserError(f"task {task.name}: {f'{kind} {name}'.strip()} is {value.dtype}; it must be bool.")
    for name in task.rewards:
        if not hasattr(cfg, f"{name}_weight"):
            raise UserError(f"task {task.name}: reward {name} has no weight; its cfg needs the field '{name}_weight'.")
    if task.mirror is not None:
        _check_mirror(task, cfg, state)


def _check_mirror(task: Task, cfg: Any, state: State) -> None:
    """Check that everything is itself again in a mirror's mirror."""
    seen = {f"observation {name}": (term.func(cfg, state), term.mirror) for name, term in task.observations.items()}
    for name, (value, mirror) in (seen | {"action": (state.action, task.mirror)}).items():
        if mirror is None:
            raise UserError(
                f"task {task.name}: {name} has no mirror, but the task has one; say what it is in a mirror, or"
                " `unchanged`."
            )
        twice = mirror(cfg, mirror(cfg, value))
        if twice.shape != value.shape or not torch.allclose(twice, value, atol=1e-5, rtol=1e-5):
            raise UserError(f"task {task.name}: the mirror of {name} is wrong: applied twice, it must change nothing.")


def check_memory(task: Task, cfg: Any, state: State) -> None:
    """Check that what a task remembers has the shape it says.

    Raises:
        UserError: naming the shape and the one it must have.
    """
    wanted = (len(state.qpos), task.memory_width)
    shape = tuple(task.remember(cfg, state).shape) if task.remember else (len(state.qpos), 0)
    if shape != wanted:
        raise UserError(
            f"task {task.name}: remember gives the shape {shape} for {wanted[0]} environments; it must be {wanted}."
        )


def check_act(task: Task, cfg: Any, actions: Tensor, controls: int) -> None:
    """Check that actions (n, a) become controls (n, nu).

    Raises:
        UserError: naming the shape of the controls and the one they must have.
    """
    shape, wanted = tuple(task.act(cfg, actions).shape), (len(actions), controls)
    if shape != wanted:
        raise UserError(
            f"task {task.name}: act gives controls of the shape {shape}; it must be {wanted}, one per actuator."
        )


# Helpers for those who write tasks.


@lru_cache(maxsize=256)
def constant(values: tuple, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return numbers on a device, made once: copying them there in every step would make it wait for a GPU."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device, dtype=dtype)


def uniform(ranges: Sequence[Range], n: int, generator: torch.Generator) -> Tensor:
    """Draw `n` rows uniformly from `k` ranges, (n, k) on the generator's device.

    On a CPU the first rows are the same for every `n`.
    """
    limits = constant(tuple(ranges), generator.device)
    draws = torch.rand(n, len(limits), generator=generator, device=generator.device)
    return draws * (limits[:, 1] - limits[:, 0]) + limits[:, 0]


def signs(*values: float) -> Callable[[Any, Tensor], Tensor]:
    """Return a `mirror` that multiplies by these signs, such as (1, -1, 1) for a position whose y changes sides."""
    return lambda cfg, x: x * constant(values, x.device)


def unchanged(cfg: Any, x: Tensor) -> Tensor:
    """Return what is the same in a mirror: a `mirror` of a term."""
    return x


def at_least(cfg: Any, low: float, *names: str) -> list[str]:
    """Return a sentence for each of the fields that is less than `low`, for `Task.check_cfg`."""
    return [
        f"'{name}' is {getattr(cfg, name)}; it must be {low} or greater" for name in names if getattr(cfg, name) < low
    ]


def positive(cfg: Any, *names: str) -> list[str]:
    """Return a sentence for each of the fields that is not greater than 0, for `Task.check_cfg`."""
    return [
        f"'{name}' is {getattr(cfg, name)}; it must be greater than 0" for name in names if not getattr(cfg, name) > 0
    ]


# Configuration.


def configure(task: Task, overrides: Mapping[str, Any], source: str = "task configuration") -> Any:
    """Return the task's numbers with some of them changed.

    Args:
        task: the task.
        overrides: field name -> value; lists stand for tuples.
        source: what an error message names as the place of the mistake.

    Raises:
        UserError: for an unknown key, a wrong type or shape, a range upside down, a number that is not finite or that
            the task does not allow.
    """
    known = {f.name: f for f in fields(task.cfg)}
    for name in task.factors:
        if name not in known or known[name].default != (1, 1):
            raise UserError(f"task {task.name}: factor {name} needs a field of the cfg, '{name}: Range = (1, 1)'.")
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            hint = did_you_mean(key, list(known))
            raise UserError(f"{source}: unknown key '{key}'{hint}; allowed are {', '.join(known)}.")
        values[key] = _like(known[key].default, value, f"{source}: '{key}'")
    cfg = dataclasses.replace(task.cfg(), **values)
    problems = positive(cfg, "physics_dt", "decimation", "episode_length_s")
    if not problems and cfg.episode_length_s / cfg.step_dt > LONGEST_EPISODE:
        problems = [
            f"'episode_length_s' is {cfg.episode_length_s} and a step lasts {cfg.step_dt:.3g} s; an episode must have"
            f" at most {LONGEST_EPISODE} steps"
        ]
    problems = problems or _check_randomness(task, cfg) or list(task.check_cfg(cfg))
    if not problems and cfg.episode_length < 1:
        problems = [f"'episode_length_s' is {cfg.episode_length_s}; it must last at least one step"]
    if problems:
        raise UserError(f"{source}: {problems[0]}.")
    return cfg


def _like(default: Any, value: Any, where: str) -> Any:
    """Return `value` in the type of `default`, or raise the sentence a user can act on."""
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            raise UserError(f"{where} is {value!r}; it must be a list of {len(default)} numbers.")
        numbers = tuple(_like(0.0, v, where) for v in value)
        if len(default) == 2 and numbers[0] > numbers[1]:
            raise UserError(f"{where} is {value!r}; the first number must not exceed the second.")
        return numbers
    if isinstance(default, bool) or isinstance(value, bool):
        if type(value) is not type(default):
            raise UserError(f"{where} is {value!r}; it must be a {_NAMES[type(default)]}.")
        return value
    if isinstance(default, int) and not isinstance(value, int):
        raise UserError(f"{where} is {value!r}; it must be an integer.")
    if not isinstance(value, (int, float)) or not abs(value) < LARGEST:
        raise UserError(f"{where} is {shown(value)}; it must be a finite number, less than {LARGEST:g} in size.")
    return type(default)(value)


LARGEST = 1e30
"""Numbers of a task are smaller, as float32 has to hold them."""
LONGEST_EPISODE = 1_000_000
_NAMES = {bool: "true or false", int: "integer", float: "number"}
