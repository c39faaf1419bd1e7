"""Write the folder: what another team needs to run a policy and to judge it, ready to upload to a model hub."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pandas as pd
from jinja2 import Environment, StrictUndefined

from manyseeds.analysis.rates import column, summaries
from manyseeds.analysis.results import Run, read_episodes
from manyseeds.core.description import Description, Outcome
from manyseeds.core.errors import UserError
from manyseeds.core.files import make_whole, read_object, sha256
from manyseeds.core.layout import CONFIG, PARAMS, RUN_RECORD
from manyseeds.core.manifest import check_made
from manyseeds.core.record import read_record
from manyseeds.core.text import shown
from manyseeds.statistics import wilson

FILM_EPISODES = 4


@dataclass(frozen=True)
class Row:
    """One outcome in the card's table: of this policy, and over seeds ("" if not known)."""

    title: str
    meaning: str
    own: str
    all: str


def make_bundle(checkpoint: Path, folder: Path, *, run_dir: Path, licence: str = "", film_seconds: float = 5) -> float:
    """Write policy.onnx, README.md (the model card), control.py, run.json, params/ and policy.gif.

    Args:
        checkpoint: model_<iteration>.pt of a run.
        folder: the folder to make; it appears when it is whole.
        run_dir: folder of the run, with its params, record and episodes.
        licence: the policy's, as hubs spell it, such as apache-2.0; "" if none was chosen.
        film_seconds: length of the film; 0 for none, where there is no OpenGL.

    Returns:
        The largest absolute difference of policy.onnx from the torch policy on 1,000 random observations.

    Raises:
        UserError: when the folder is there already, the run has no record, or a file of it is damaged.
    """
    from manyseeds.evaluation.evaluate import evaluation_settings
    from manyseeds.evaluation.export import export
    from manyseeds.evaluation.film import film_checkpoint
    from manyseeds.simulators.film import write_video
    from manyseeds.simulators.rendering import choose_renderer

    choose_renderer()  # the network's export imports MuJoCo
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*|", licence):
        raise UserError(
            f"--licence is {shown(licence)}; model hubs spell one as in apache-2.0: a-z, 0-9, dots and dashes."
        )
    if not film_seconds >= 0:
        raise UserError(f"--film_seconds is {film_seconds}; it must be at least 0.")
    if folder.exists():
        raise UserError(f"--bundle is {folder}, which exists; remove it or choose another folder.")
    if not (run_dir / RUN_RECORD).is_file():
        raise UserError(
            f"{run_dir / RUN_RECORD} is missing: without its run's record nobody can say what made a policy."
        )
    with make_whole(folder) as whole:
        (whole / "params").mkdir(parents=True)
        (difference,) = export(checkpoint, [whole / "policy.onnx"], run_dir).values()
        for name in (RUN_RECORD, *PARAMS):
            shutil.copyfile(run_dir / name, whole / name)
        shutil.copyfile(Path(__file__).with_name("control.py"), whole / "control.py")
        if film_seconds:
            frames, fps = film_checkpoint(
                checkpoint,
                evaluation_settings(run_dir),
                run_dir=run_dir,
                episodes=FILM_EPISODES,
                seconds=film_seconds,
                width=320,
                height=240,
            )
            write_video(whole / "policy.gif", frames, fps)
        card = _card(checkpoint, whole / "policy.onnx", run_dir, licence, FILM_EPISODES if film_seconds else 0)
        (whole / "README.md").write_text(card, encoding="utf-8")
    return difference


def _card(checkpoint: Path, network: Path, run_dir: Path, licence: str, film: int) -> str:
    """Return the model card, in Markdown with the header that hubs read."""
    about = {item.key: item.value for item in onnx.load(network).metadata_props}
    iteration = int(about["iteration"])
    record = read_record(run_dir / RUN_RECORD)
    seed = record["config"]["seed"]
    rows, episodes, seeds = _rates(Run(record.get("variant", ""), seed, run_dir), about["task"], iteration)
    code = record["code"]
    provenance = {
        **({"experiment, variant": f"{record['experiment']}, {record['variant']}"} if "experiment" in record else {}),
        "seed": seed,
        "trained": f"{record['started']} to {record['ended']}",
        "code": f"manyseeds {code['version']}, commit {code['commit']}" + (" with changes" if code["dirty"] else ""),
        "packages": ", ".join(f"{name} {version}" for name, version in record["packages"].items()),
        "machine": ", ".join([record["hardware"]["cpu"], *record["hardware"]["gpu"]]),
        f"SHA-256 of {checkpoint.name}": sha256(checkpoint),
        "SHA-256 of policy.onnx": sha256(network),
    }
    template = Path(__file__).with_name("card.md.j2").read_text(encoding="utf-8")
    markdown = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return markdown.from_string(template).render(
        task=about["task"],
        seed=seed,
        iteration=iteration,
        simulator=about["simulator"],
        step_s=about["step_s"],
        parts=json.loads(about["inputs"])[0]["parts"],
        controls=json.loads(about["outputs"])[1],
        rows=rows,
        episodes=episodes,
        seeds=seeds,
        provenance=provenance,
        licence=licence,
        film=film,
    )


def _rates(run: Run, task: str, iteration: int) -> tuple[list[Row], int, int]:
    """Return the rows of the card's table, and of how many episodes and seeds they are; no rows if not evaluated."""
    if not run.episodes.is_file():
        return [], 0, 0
    check_made(run.episodes, "evaluate")
    description = _description(run, task)
    table = read_episodes(run, description)
    table = table[table["iteration"] == iteration]
    if table.empty:
        return [], 0, 0
    own = summaries(description.outcomes, table).iloc[0]
    over_seeds = _over_seeds(run, iteration)
    rows = [
        Row(
            outcome.title + (f" ({outcome.unit})" if outcome.unit else ""),
            outcome.meaning,
            _own(outcome, own),
            _all(outcome, over_seeds),
        )
        for outcome in description.outcomes
    ]
    return rows, int(own["episodes"]), int(over_seeds.get("seeds", 0))


def _description(run: Run, task: str) -> Description:
    """Return the description whose columns the episodes have: the experiment's, since the task may have changed."""
    from manyseeds.tasks import registry

    config = run.folder.parent.parent / CONFIG
    said = read_object(config, "an experiment").get("description") if config.is_file() else None
    return Description.from_dict(said) if said else registry.load(task).description


def _over_seeds(run: Run, iteration: int) -> dict[str, Any]:
    """Return the variant's row of the experiment's table of reported numbers, if it is of this iteration."""
    file = run.folder.parent.parent / "success_rates_final.csv"
    if not file.is_file():
        return {}
    check_made(file, "tables")
    table = pd.read_csv(file)
    found = table[(table["variant"] == run.variant) & (table["iteration"] == iteration)]
    return {} if found.empty else dict(found.iloc[0])


def _own(outcome: Outcome, numbers: "pd.Series[Any]") -> str:
    if outcome.kind == "measure":
        return f"{numbers[column(outcome)]:.3g}"
    low, high = wilson(numbers[outcome.name], numbers["episodes"])
    return _percent(numbers[outcome.name] / numbers["episodes"], float(low), float(high))


def _all(outcome: Outcome, numbers: dict[str, Any]) -> str:
    if f"{outcome.name}_low" in numbers and pd.notna(numbers[f"{outcome.name}_low"]):
        return _percent(*(numbers[f"{outcome.name}_{part}"] for part in ("mean", "low", "high")))
    mean = numbers.get(f"{outcome.name}_mean", numbers.get(outcome.name))
    if mean is None or pd.isna(mean):
        return ""
    return f"{100 * mean:.1f}" if outcome.kind == "share" else f"{mean:.3g}"


def _percent(mean: float, low: float, high: float) -> str:
    return f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
