"""What training says on the console: the iteration block of Isaac Lab Arena's policy-training guide."""

from collections.abc import Sequence

from manyseeds.core.text import duration

WIDTH = 80
_PAD = 41
_LOSS_NAMES = {"value": "value_function"}


def iteration_block(
    iteration: int,
    total: int,
    scalars: dict[str, float],
    *,
    timesteps: int,
    iteration_time: float,
    elapsed: float,
    order: Sequence[str] = (),
) -> str:
    """Return the block of one iteration.

    Args:
        iteration: completed iterations.
        total: iterations of the run.
        scalars: this iteration's, by event tag.
        timesteps: environment steps so far, over all environments.
        iteration_time: seconds this iteration took.
        elapsed: seconds of training so far, over all starts of the run.
        order: tags of the environment in the order of their lines; others follow.
    """
    lines = [
        _line(
            "Computation",
            f"{scalars['Perf/total_fps']:.0f} steps/s (collection: {scalars['Perf/collection_time']:.3f}s, "
            f"learning {scalars['Perf/learning_time']:.3f}s)",
        ),
        _line("Mean action noise std", f"{scalars['Policy/mean_std']:.2f}"),
    ]
    for tag, value in scalars.items():
        name = tag.removeprefix("Loss/")
        if name != tag and name != "learning_rate":
            lines.append(_line(f"Mean {_LOSS_NAMES.get(name, name)} loss", f"{value:.4f}"))
    if "Train/mean_reward" in scalars:
        lines.append(_line("Mean reward", f"{scalars['Train/mean_reward']:.2f}"))
        lines.append(_line("Mean episode length", f"{scalars['Train/mean_episode_length']:.2f}"))
    known = ("Loss/", "Perf/", "Policy/", "Train/")
    logged = [tag for tag in scalars if not tag.startswith(known)]
    ordered = [tag for tag in order if tag in logged]
    lines += [_line(tag, f"{scalars[tag]:.4f}") for tag in dict.fromkeys([*ordered, *logged])]
    lines += [
        "=" * WIDTH,
        _line("Total timesteps", str(timesteps)),
        _line("Iteration time", f"{iteration_time:.2f}s"),
        _line("Time elapsed", duration(elapsed).zfill(8)),
        _line("ETA", duration(elapsed / iteration * (total - iteration)).zfill(8)),
    ]
    title = f" Learning iteration {iteration}/{total} ".center(WIDTH).rstrip()
    return "\n".join(["#" * WIDTH, title, "", *lines, ""])


def _line(label: str, value: str) -> str:
    return f"{label + ':':>{_PAD}} {value}"
