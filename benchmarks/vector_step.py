"""The whole vector step of MujocoEnv compared with pure C physics: same model, states, controls and threads.

    python benchmarks/vector_step.py [--num_envs 64,512,4096] [--run RUN_DIR]

"step" is MujocoEnv.step: actions, physics, rewards, observations, resets, episode log; by the task's kernels, or with
--generic by its functions, as a task without kernels steps. "rollout" is one call of MuJoCo's Batch.rollout over the
same steps, which records nothing and never returns to Python: nothing that answers a policy can be faster. "loop" is
Batch.step once per environment step, its controls written before: the least that something does which answers a policy.
Policies themselves cost nothing here, for the actions are recorded before.

Phases: "reaching" (noise moves the arm, the cube lies on the table) and "holding" (the cube is in the lifted gripper
and the arm trembles; with --run, the recorded actions of a trained policy). Episodes end evenly over time, as in
training. Every measurement starts from the same saved state. An environment in which no episode ended must end in the
same state, bit for bit, in "step" and in "rollout"; otherwise the script fails.

Ratios are medians over rounds in which all take turns; speeds are those of the best round. "CPU" is the process's CPU
time, which other programs disturb less. With several threads it hides that Python lets all but one of them wait.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from _timing import Measurements, Table, Time, integers, machine, mean, measure, share, task_overrides, thread_counts
from mujoco.batch import Batch
from torch import Tensor

from manyseeds.simulators.base import Options
from manyseeds.simulators.model import load_model
from manyseeds.simulators.mujoco import MujocoEnv
from manyseeds.tasks import registry
from manyseeds.tasks.base import configure
from manyseeds.tasks.lift_object.grasp_starts import grasp_starts

Policy = Callable[[int], Tensor]
PREPARED = 512
"""Environments that are prepared for a phase; other batch sizes use part of their states or repeat them."""
STEPS = 24
REACHING_NOISE, HOLDING_NOISE = 1.0, 0.2


@dataclass(frozen=True)
class Work:
    """A saved state, the following actions (steps, num_envs, 8), and the shares of cubes on the table and held."""

    state: dict[str, Tensor]
    actions: Tensor
    on_table: float
    held: float

    def of(self, rows: Tensor, steps: int) -> "Work":
        """Return the same for the environments `rows`, in their order, and the first steps."""
        state = self.state | {key: self.state[key][rows] for key in ("physics", "episode", "episode_length")}
        return Work(state, self.actions[:steps, rows].clone(), self.on_table, self.held)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_envs", type=integers, default=[64, 512, 4096], help="environments, such as 64,512")
    parser.add_argument("--phases", default="reaching,holding", help="what to measure")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--generic", action="store_true", help="step without the task's kernels")
    parser.add_argument("--run", type=Path, help="folder of a run whose last policy holds the cube")
    args = parser.parse_args()
    torch.set_num_threads(1)  # as in training, which has its own threads for the networks
    print(machine(), "\n")
    table = Table(
        "phase", "envs", "threads", "step, env steps/s", "loop", "rollout", "step/rollout", "step/rollout, CPU",
        "step/loop, CPU", "ms a step", "physics", "resets", "rest", "held", "on table",
    )  # fmt: skip
    with torch.inference_mode():
        for phase in args.phases.split(","):
            prepared = prepare(new_env(PREPARED, thread_counts()[-1], args.generic), phase, args.run)
            for num_envs in args.num_envs:
                work = prepared.of(torch.arange(num_envs) % PREPARED, steps=min(max(8192 // num_envs, 3), STEPS))
                for threads in thread_counts():
                    cells = compare(new_env(num_envs, threads, args.generic), work, threads, args.repeats)
                    table.row(phase, num_envs, threads, *cells)
    return 0


def new_env(num_envs: int, threads: int, generic: bool) -> MujocoEnv:
    task = registry.load("lift_object")
    if generic:
        task = replace(task, kernels=None)
    return MujocoEnv(task, configure(task, task_overrides()), Options(num_envs, seed=0, threads=threads))


def compare(env: MujocoEnv, work: Work, threads: int, repeats: int) -> list[str]:
    """Measure one row of the table."""
    decimation, samples = env.task_cfg.decimation, len(work.actions) * env.num_envs
    batch = Batch(load_model(env.task, env.task_cfg), env.num_envs, nthread=threads)
    ctrl = batch.bind("ctrl")
    targets = torch.stack([env.task.act(env.task_cfg, a) for a in work.actions]).double().numpy()
    control = np.ascontiguousarray(targets.transpose(1, 0, 2).repeat(decimation, axis=1))
    calls = max(1, 8192 // samples)  # so that small batches run long enough to be timed
    never_ends = work.state | {"episode_length": torch.full_like(work.state["episode_length"], -len(work.actions))}

    def repeated(restore: Callable[[], None], run: Callable[[], object]) -> Time:
        times = []
        for _ in range(calls):
            restore()
            times.append(measure(run))
        return mean(times)

    # Training draws where episodes start some 250 steps ahead; a measurement of 16 steps shall not draw each time.
    drawn = env._draw(2 * env.num_envs)
    starts = {"start_qpos": drawn.qpos, "start_command": drawn.command} if env._compiled else {}

    def steps(state: dict[str, Tensor]) -> Time:
        return repeated(
            lambda: env.load_state_dict(state | starts), lambda: [env.step(action) for action in work.actions]
        )

    def restore() -> None:
        batch.state[:] = work.state["physics"].numpy()

    def rollout() -> Time:
        return repeated(restore, lambda: batch.rollout(control.shape[1], control, record=()))

    def loop() -> Time:
        def run() -> None:
            for target in targets:
                ctrl[:] = target
                batch.step(nstep=decimation)

        return repeated(restore, run)

    steps(work.state)
    rollout()
    check_same(env, batch, work)
    contestants = {
        "step": lambda: steps(work.state),
        "rollout": rollout,
        "loop": loop,
        "no resets": lambda: steps(never_ends),
    }
    times = Measurements(contestants, repeats)
    with physics_timed() as spent:
        shares = []
        for _ in range(3):
            spent.clear()
            whole = steps(work.state).cpu
            shares.append(sum(spent) / calls / whole)
    physics = sorted(shares)[1]
    resets = min(max(0.0, 1 - times.best("no resets").cpu / times.best("step").cpu), 1 - physics)
    rollout_by_step = times.ratio("rollout", "step")
    return [
        *(f"{samples / times.best(name).wall:,.0f}" for name in ("step", "loop", "rollout")),
        share(rollout_by_step.wall),
        share(rollout_by_step.cpu),
        share(times.ratio("loop", "step").cpu),
        f"{1e3 * times.best('step').wall / len(work.actions):.2f}",
        *(share(x) for x in (physics, resets, 1 - physics - resets, work.held, work.on_table)),
    ]


def check_same(env: MujocoEnv, batch: Batch, work: Work) -> None:
    """Exit unless the environments in which no episode ended equal the pure physics, bit for bit."""
    running = (work.state["episode_length"] + len(work.actions) < env.max_episode_length).numpy()
    same = (env.state_dict()["physics"].numpy() == batch.state).all(1)[running].mean()
    if not same > 0.97:  # a cube that fell off the table ends its episode too
        sys.exit(f"error: {same:.0%} of the environments agree with Batch.rollout: different work was timed.")


@contextmanager
def physics_timed() -> Iterator[list[float]]:
    """Collect the CPU seconds of every call of Batch.step."""
    original, spent = Batch.step, []

    def step(self: Batch, *args: object, **kwargs: object) -> None:
        spent.append(measure(lambda: original(self, *args, **kwargs)).cpu)

    Batch.step = step
    try:
        yield spent
    finally:
        Batch.step = original


def prepare(env: MujocoEnv, phase: str, run_dir: Path | None) -> Work:
    """Bring the environments into a phase and record the following steps."""
    noise = torch.Generator().manual_seed(1)
    if phase == "reaching":
        policy, std, warm_up = (lambda step: gripper(env, +1.0)), REACHING_NOISE, 30
    elif run_dir is None:
        policy, std, warm_up = scripted_grasp(env), HOLDING_NOISE, 100
    else:
        policy, std, warm_up = trained_policy(env, run_dir), 0.0, 100

    def act(step: int) -> Tensor:
        action = policy(step).clone()
        # The scripted hand gets noise only after it has the cube.
        action[:, :7] += (std if phase == "reaching" or step > 60 else 0.0) * torch.randn(
            len(action), 7, generator=noise
        )
        return action

    env.episode_length_buf = torch.zeros_like(env.episode_length_buf)
    for step in range(warm_up):
        env.step(act(step))
    env.episode_length_buf = torch.randint(env.max_episode_length, (env.num_envs,), generator=noise)
    state, actions, cubes = env.state_dict(), [], []
    for step in range(warm_up, warm_up + STEPS):
        cubes.append(where_cubes_are(env))
        actions.append(act(step))
        env.step(actions[-1])
    on_table, held = torch.tensor(cubes).mean(0).tolist()
    return Work(state, torch.stack(actions), on_table, held)


def gripper(env: MujocoEnv, command: float) -> Tensor:
    """Return actions (num_envs, 8) for the default pose; a negative command closes the hand."""
    return torch.tensor([0.0] * 7 + [command]).repeat(env.num_envs, 1)


def scripted_grasp(env: MujocoEnv) -> Policy:
    """Put the open hands around the cubes; close them, lift towards the default pose, stay there."""
    cfg, model = env.task_cfg, load_model(env.task, env.task_cfg)
    starts = grasp_starts(cfg)
    rows = torch.arange(env.num_envs) % len(starts.arm)
    state = env.state_dict()
    batch = Batch(model, env.num_envs)
    batch.state[:] = state["physics"].numpy()
    batch.bind("qpos")[:, :7] = batch.bind("ctrl")[:, :7] = starts.arm[rows].numpy()
    batch.bind("qpos")[:, 9:12] = starts.object_pos[rows].numpy()
    env.load_state_dict(state | {"physics": torch.from_numpy(batch.state.copy())})
    around = gripper(env, -1.0)
    around[:, :7] = (starts.arm[rows] - torch.tensor(cfg.default_arm)) / cfg.action_scale

    def policy(step: int) -> Tensor:
        lifted = min(max((step - 20) / 50, 0.0), 0.7)
        return torch.lerp(around, gripper(env, -1.0), lifted)

    return policy


def trained_policy(env: MujocoEnv, run_dir: Path) -> Policy:
    from manyseeds.learning.checkpoint import checkpoints
    from manyseeds.learning.policy import Policy as Trained
    from manyseeds.learning.policy import read_params

    trained = Trained(read_params(run_dir).agent, env.get_observations(), env.num_actions)
    trained.load(list(checkpoints(run_dir).values())[-1])
    return lambda step: trained.model(env.get_observations())


def where_cubes_are(env: MujocoEnv) -> tuple[float, float]:
    """Return the share of cubes that rest on the table, and of those lifted between fingers they keep apart."""
    height = env.state().qpos[:, 11]
    opening = env.get_observations()["policy"][:, 7:9].sum(1) + 2 * env.task_cfg.gripper_open
    held = (height > env.task_cfg.lifting_object_height) & (opening > 0.03) & (opening < 0.06)
    return ((height - 0.024).abs() < 0.005).double().mean().item(), held.double().mean().item()


if __name__ == "__main__":
    sys.exit(main())
