"""The resolved experiment: every value filled in, every variant spelled out."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from manyseeds.config.external import Definition, from_fields
from manyseeds.core.errors import UserError

SCHEMA_VERSION = 1
ENVIRONMENTS = {"mujoco": "mujoco", "mujoco_warp": "mujoco", "isaaclab": "isaaclab"}
"""In which environment of envs/ each simulator is."""
# RSL-RL's rollout length where an agent file names none (that of Isaac Lab's lift task).
DEFAULT_STEPS_PER_ENV = 24


@dataclass(frozen=True)
class TrainSettings:
    """How one run trains.

    Attributes:
        num_envs: environments stepped side by side.
        max_iterations: iterations of a whole run.
        save_interval: iterations between two checkpoints; the last iteration always has one.
        state_interval: iterations between two saves of the whole training state.
        env_spacing: distance between neighboring environments, m.
        threads: CPU threads of a run, or "auto".
    """

    num_envs: int
    max_iterations: int
    save_interval: int
    state_interval: int
    env_spacing: float
    threads: int | str


@dataclass(frozen=True)
class EvaluateSettings:
    """How every checkpoint is judged.

    Attributes:
        episodes: episodes per checkpoint, the same ones for every seed and checkpoint.
        seed: what these episodes are drawn from.
        tolerance: largest distance of the object from its target that counts as success, m.
    """

    episodes: int
    seed: int
    tolerance: float


@dataclass(frozen=True)
class CurvesSettings:
    """How event files become curves; the defaults serve a config.json of a release without these keys.

    Attributes:
        allow_corrupt: read what is left of an event file that is corrupt in its middle, instead of failing.
        band: what the bands of drawn curves cover: "pointwise" or "simultaneous" (the whole mean curve).
    """

    allow_corrupt: bool = False
    band: str = "pointwise"


@dataclass(frozen=True)
class Variant:
    """One column of the comparison: the settings that all of its seeds share."""

    name: str
    train: TrainSettings
    agent_file: str
    agent: dict[str, Any]
    task_cfg: dict[str, Any]

    @property
    def checkpoints(self) -> list[int]:
        """Iterations of which a run of this variant leaves a checkpoint."""
        return checkpoint_iterations(self.train.max_iterations, self.train.save_interval)


@dataclass(frozen=True)
class Experiment:
    """All runs, variants times seeds, and how they are judged."""

    experiment: str
    task: str
    simulator: str
    device: str
    # Ours by name, or someone else's.
    trainer: str | Definition
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    evaluate: EvaluateSettings
    curves: CurvesSettings
    # Which GPUs a run may use changes no result (how many it takes does); records of older versions lack these.
    gpus: str | tuple[int, ...] = "auto"
    jobs_per_gpu: int = 1
    gpus_per_run: int = 1
    # These change no result either.
    keep_state: bool = True
    # Image by environment.
    container: dict[str, str] = field(default_factory=dict)
    # Interpreter by environment, where jobs run without container or conda.
    python: dict[str, str] = field(default_factory=dict)

    def variant(self, name: str) -> Variant:
        """Return the variant called `name`.

        Raises:
            UserError: when there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise UserError(f"experiment {self.experiment} has no variant {name!r}; it has {known}")

    @property
    def foreign(self) -> Definition | None:
        """The trainer, where it is not ours: then our evaluation cannot run its environment."""
        return self.trainer if isinstance(self.trainer, Definition) else None

    @property
    def environment(self) -> str:
        """The environment (conda's, or a container's) that holds the simulator; another trainer brings its own."""
        return "analysis" if self.foreign else ENVIRONMENTS[self.simulator]

    @property
    def leases_gpus(self) -> bool:
        """Whether every run takes GPUs of its own."""
        return self.device == "cuda" and self.gpus != "none"

    @property
    def ranks(self) -> int:
        """Processes that train one run together: one for each of its GPUs."""
        return self.gpus_per_run if self.device == "cuda" else 1

    def settings(self, variant: str, seed: int) -> dict[str, Any]:
        """Return what determines the result of one run, and nothing else.

        How many threads it takes and how often it saves its state are left out: neither changes a policy.
        """
        chosen = self.variant(variant)
        train = asdict(chosen.train)
        del train["threads"], train["state_interval"]
        ranks = {"ranks": self.ranks} if self.ranks > 1 else {}
        if self.foreign:
            return {
                "task": self.task,
                "task_cfg": chosen.task_cfg,
                "device": self.device,
                "trainer": self.foreign.identity,
                "seed": seed,
                "train": train,
                "agent": chosen.agent,
                **ranks,
            }
        return {
            "task": self.task,
            "task_cfg": chosen.task_cfg,
            "simulator": self.simulator,
            "device": self.device,
            "trainer": self.trainer,
            "seed": seed,
            "train": train,
            "agent": chosen.agent,
            **ranks,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the experiment as plain JSON values, in the layout of `config.json`."""
        fields = asdict(self)
        fields["seeds"] = list(self.seeds)
        fields["gpus"] = self.gpus if isinstance(self.gpus, str) else list(self.gpus)
        fields["variants"] = {variant.pop("name"): variant for variant in fields["variants"]}
        return {"schema": SCHEMA_VERSION, **fields}

    def checkpoints(self, variant: str) -> list[str]:
        """Return the names of the checkpoints that a run must leave; of another trainer's, the last."""
        chosen = self.variant(variant)
        if self.foreign:
            return [self.foreign.checkpoint_name(chosen.train.max_iterations)]
        return [f"model_{iteration}.pt" for iteration in chosen.checkpoints]

    def samples_per_iteration(self, variant: str) -> int | None:
        """Return the environment steps of an iteration; None where another trainer does not say."""
        chosen = self.variant(variant)
        steps = chosen.agent.get("num_steps_per_env", DEFAULT_STEPS_PER_ENV)
        if self.foreign and "num_steps_per_env" not in chosen.agent:
            steps = self.foreign.steps_per_env
        return None if steps is None else chosen.train.num_envs * int(steps)

    def to_json(self) -> str:
        """Return the text of `config.json`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def checkpoint_iterations(max_iterations: int, save_interval: int) -> list[int]:
    """Return the iterations that leave a checkpoint: every `save_interval`-th and the last."""
    regular = list(range(save_interval, max_iterations + 1, save_interval))
    return regular if regular and regular[-1] == max_iterations else [*regular, max_iterations]


def from_dict(fields: dict[str, Any]) -> Experiment:
    """Rebuild an experiment from `Experiment.to_dict`."""
    fields = dict(fields)
    del fields["schema"]
    return Experiment(
        **fields
        | {
            "seeds": tuple(fields["seeds"]),
            "variants": tuple(
                Variant(name=name, **variant | {"train": TrainSettings(**variant["train"])})
                for name, variant in fields["variants"].items()
            ),
            "evaluate": EvaluateSettings(**fields["evaluate"]),
            "curves": CurvesSettings(**fields.get("curves", {})),
            "gpus": _gpus(fields.get("gpus", "auto")),
            "trainer": _trainer(fields["trainer"]),
        }
    )


def _gpus(value: str | list[int]) -> str | tuple[int, ...]:
    return value if isinstance(value, str) else tuple(value)


def _trainer(value: str | dict[str, Any]) -> str | Definition:
    return value if isinstance(value, str) else from_fields(value)


def read_resolved(path: str | Path) -> Experiment:
    """Read `results/<experiment>/config.json`.

    Raises:
        UserError: when the file is missing or is not such a file.
    """
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
        if fields["schema"] != SCHEMA_VERSION:
            raise UserError(f"{path} has schema {fields['schema']}, this version reads {SCHEMA_VERSION}")
        return from_dict(fields)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a config.json as manyseeds.config writes it: {error!r}") from error
