"""Small logs of other programs, in the folders that these programs make, written by TensorBoard's own writer."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tensorboard.compat.proto import event_pb2

from helpers.event_files import START, scalar, write_events

AGENT = """\
seed: {seed}
num_steps_per_env: 24
max_iterations: {last}
class_name: OnPolicyRunner
policy: !!python/object/apply:builtins.slice
- null
- null
run_name: ''
"""
ENV = """\
scene:
  num_envs: 4096
  env_spacing: 2.5
viewer:
  eye: !!python/tuple
  - 7.5
  - 7.5
seed: {seed}
"""


def returns(iterations: Iterable[int], seed: int, final: float = 100.0) -> np.ndarray:
    """A return that rises to about `final`, with a seed's own noise."""
    steps = np.array(list(iterations))
    noise = np.random.default_rng([seed, 7]).normal(0, 0.02 * final, steps.size)
    return final * (1 - np.exp(-(steps + 1) / 15)) + noise + (seed % 5) * 0.01 * final


def rsl_rl(
    folder: Path,
    iterations: Iterable[int],
    seed: int,
    *,
    final: float = 100.0,
    success: str = "",
    terms: str = "Episode_Reward/",
    began: float = START,
) -> Path:
    """Write one event file as RSL-RL does, whose first iteration is 0."""
    steps = list(iterations)
    values = returns(steps, seed, final)
    events: list[event_pb2.Event] = []
    for step, value in zip(steps, values, strict=True):
        row = {
            f"{terms}lifting": value / 10,
            "Loss/value_function": 1 / (step + 1),
            "Perf/total_fps": 98304.0,
            "Perf/collection time": 0.7,
            "Perf/learning_time": 0.3,
            "Train/mean_reward": value,
        }
        if success:
            row[success] = float(np.clip(value / 120, 0, 1))
        events += [scalar(tag, step, number, began + step) for tag, number in row.items()]
        events.append(scalar("Train/mean_reward/time", int(step / 10), value, began + step))
    write_events(folder / f"events.out.tfevents.{int(began)}.host.1.0", events, began)
    return folder


def isaaclab(root: Path, name: str, iterations: Iterable[int], seed: int, **options: object) -> Path:
    """A run of Isaac Lab or mjlab: event file, params/*.yaml, git/*.diff."""
    steps = list(iterations)
    folder = rsl_rl(root / name, steps, seed, **options)  # type: ignore[arg-type]
    (folder / "params").mkdir()
    (folder / "params/agent.yaml").write_text(AGENT.format(seed=seed, last=len(steps)))
    (folder / "params/env.yaml").write_text(ENV.format(seed=seed))
    (folder / "git").mkdir()
    (folder / "git/IsaacLab.diff").write_text("--- git status ---\n")
    return folder


def franka_lift(root: Path, last: int = 60) -> Path:
    """Twelve runs, three variants of four seeds; one ends early, one was resumed in a new folder."""
    success = "Metrics/object_pose/success"
    for day, (variant, final) in enumerate({"ppo": 100.0, "ppo_rnd": 90.0, "ppo_sym": 110.0}.items()):
        for seed in (1, 2, 3, 4):
            began = START + 86400 * day + 600 * seed
            name = f"2026-01-{10 + day}_0{seed}-00-00_{variant}_seed{seed}"
            options = {"final": final, "success": success, "began": began}
            if (variant, seed) == ("ppo_sym", 2):
                isaaclab(root, name, range(last - 30), seed, **options)
                later = f"2026-01-{20 + day}_0{seed}-00-00_{variant}_seed{seed}"
                isaaclab(root, later, range(last - 40, last), seed, **{**options, "began": began + 9000})
            else:
                end = last - 20 if (variant, seed) == ("ppo_rnd", 3) else last
                isaaclab(root, name, range(end), seed, **options)
    return root


def legged_gym(root: Path, last: int = 40) -> Path:
    """Runs of legged_gym (rsl_rl 1.x): months by name, no params, its own prefix of reward terms."""
    for seed in (1, 2):
        rsl_rl(
            root / f"Jan1{seed}_10-00-00_rough_seed{seed}", range(last), seed, terms="Episode/rew_", began=START + seed
        )
    return root


def zoo(root: Path, seeds: Iterable[int] = (11, 12, 13), checkpoints: int = 8) -> Path:
    """Runs of RL Zoo: evaluations.npz, and args.yml with the seed in a folder with the name of the environment."""
    for place, seed in enumerate(seeds):
        folder = root / "ppo" / f"CartPole-v1_{place + 1}"
        (folder / "CartPole-v1").mkdir(parents=True)
        steps = 10_000 * np.arange(1, checkpoints + 1)
        mean = returns(range(checkpoints), seed)
        results = mean[:, None] + np.random.default_rng(seed).normal(0, 1, (checkpoints, 5))
        np.savez(
            folder / "evaluations.npz",
            timesteps=steps,
            results=results,
            ep_lengths=np.full((checkpoints, 5), 200),
            successes=results > 60,
        )
        (folder / "CartPole-v1/args.yml").write_text(
            "!!python/object/apply:collections.OrderedDict\n"
            f"- - - algo\n    - ppo\n  - - env\n    - CartPole-v1\n  - - seed\n    - {seed}\n"
        )
    return root


def progress(folder: Path, seed: int, rows: int = 20) -> Path:
    """A progress.csv of Stable-Baselines3: some columns are empty in some rows."""
    folder.mkdir(parents=True)
    lines = ["rollout/ep_rew_mean,time/total_timesteps,time/iterations,eval/mean_reward,rollout/success_rate"]
    for place, value in enumerate(returns(range(rows), seed)):
        evaluated = f"{value:.3f}" if place % 5 == 4 else ""
        lines.append(f"{value:.4f},{2048 * (place + 1)},{place + 1},{evaluated},{min(value / 120, 1):.4f}")
    (folder / "progress.csv").write_text("\n".join(lines) + "\n")
    return folder


def history(path: Path, seed: int, rows: int = 30) -> Path:
    """The history of a run of RSL-RL in Weights & Biases, as `run.history().to_csv()` writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",_step,_runtime,_timestamp,Train/mean_reward,Loss/value,Perf/total_fps,video"]
    for step, value in enumerate(returns(range(rows), seed)):
        lines.append(f'{step},{step},{step * 1.5},{START + step},{value:.5f},0.5,98304,"{{""path"": ""x.mp4""}}"')
    path.write_text("\n".join(lines) + "\n")
    return path


def chart(path: Path, seeds: Iterable[int], tag: str = "Train/mean_reward", rows: int = 30, x: str = "Step") -> Path:
    """A chart of several runs, as Weights & Biases exports it in the browser: empty where a run has no number.

    The variant wide has half as many iterations as ppo.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = {
        f"{variant}_seed{seed}": returns(range(count), seed)
        for variant, count in (("ppo", rows), ("wide", rows // 2))
        for seed in seeds
    }
    columns = [f"{name} - {tag}{end}" for name in runs for end in ("", "__MIN", "__MAX")]
    lines = [",".join(f'"{name}"' for name in (x, *columns))]
    for step in range(rows):
        cells = [f'"{values[step]:.5f}"' if step < len(values) else "" for values in runs.values() for _ in range(3)]
        lines.append(",".join([f'"{step}"', *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path
