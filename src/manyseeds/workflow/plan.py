"""What the Snakefile needs to know before it can lay out its jobs."""

import importlib.util
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from manyseeds import gpus
from manyseeds.config import Experiment, Variant, load, read_resolved
from manyseeds.config.conditions import conditions
from manyseeds.config.external import External
from manyseeds.config.loading import resolve
from manyseeds.config.yaml_file import parse_scalar
from manyseeds.core import ledger
from manyseeds.core.description import Description
from manyseeds.core.errors import UserError
from manyseeds.core.files import expanded, write_atomic
from manyseeds.core.layout import (
    CONFIG,
    EPISODES,
    FACTORS,
    LOCK,
    REPOSITORY,
    RESULTS,
    RUN_RECORD,
    SCALARS,
    checkpoint_name,
    decision_name,
    run_folder,
    score_name,
)
from manyseeds.core.locks import locked
from manyseeds.core.simulators import SIMULATORS
from manyseeds.launch.external import find_programs
from manyseeds.learning import foreign
from manyseeds.workflow import images as containers
from manyseeds.workflow.content import checked_apart
from manyseeds.workflow.failed import report_the_others
from manyseeds.workflow.resources import CLUSTER_THREADS, evaluation_minutes, memory_mb, speedup, training_minutes
from manyseeds.workflow.trust import Findings, look


@dataclass(frozen=True)
class Plan:
    """An experiment as one invocation of Snakemake sees it.

    Attributes:
        experiment: the resolved experiment.
        cores: CPU cores that Snakemake may use, or None where a cluster decides.
        drawn_from: the folder that the target `figures` draws.
        source: the config file's name, for error messages.
    """

    experiment: Experiment
    cores: int | None
    drawn_from: str
    source: str
    _locks: ExitStack = field(default_factory=ExitStack, compare=False)

    @property
    def results(self) -> str:
        """The folder that the runs write to."""
        return f"{RESULTS}/{self.experiment.experiment}"

    @property
    def logs(self) -> str:
        """The folder of the jobs' logs."""
        return f"logs/{self.experiment.experiment}"

    @property
    def tidy(self) -> str:
        """What the last step that reads a run appends to its command: nothing, or the removal of its state."""
        return "" if self.experiment.keep_state else " && python -m manyseeds tidy {params.run:q}"

    def shell_prefix(self, deployed: bool) -> str:
        """Return what every job's command begins with: jobs import the code of this checkout.

        Args:
            deployed: whether a container or conda gives the environment, with its own `python` and packages. Otherwise
                `python` is Snakemake's own, whatever is on PATH, and the user's PYTHONPATH follows ours.
        """
        path = shlex.quote(str(REPOSITORY / "src"))
        if deployed:
            prefix = f"set -euo pipefail; export PYTHONPATH={path}; "
        else:
            own = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}'
            prefix = f'set -euo pipefail; export PYTHONPATH={path}"${{PYTHONPATH:+:$PYTHONPATH}}"; {own}; '
        return _literal(prefix)

    @property
    def allow_code(self) -> str:
        """The flag by which evaluation may run the code that this config names, for the shell command of a rule."""
        agents = [variant.agent for variant in self.variants]
        names = foreign.named(agents, self.experiment.task) if self.is_ours else []
        return _literal(f" --allow_code {shlex.join(names)}") if names else ""

    @property
    def evaluation_overrides(self) -> str:
        """The numbers of the task that evaluation changes, as JSON."""
        return json.dumps(self.experiment.evaluate.overrides, sort_keys=True)

    def earlier_episodes(self, variant: str) -> str:
        """Return the flags by which checkpoints before the reported ones play fewer episodes; "" where they do not."""
        evaluate = self.experiment.evaluate
        limit, few = evaluate.earlier(self.experiment.variant(variant).checkpoints)
        return f" --earlier_episodes {few} --before {limit}" if few < evaluate.episodes else ""

    @property
    def factors(self) -> str:
        """The factors under which the last checkpoints are evaluated, as JSON; "" for none."""
        factors = self.experiment.evaluate.factors
        return json.dumps(factors) if factors else ""

    @property
    def names_starts(self) -> bool:
        """Whether episodes start with something that has names, by which tables split success."""
        return any(start.names for start in Description.from_dict(self.experiment.description or {}).starts)

    @property
    def no_animation(self) -> str:
        """The picture in place of a film, quoted for the shell command of a rule."""
        return _literal(shlex.quote(str(REPOSITORY / "workflow" / "report" / "no_animation.gif")))

    @property
    def config_json(self) -> str:
        """The file that holds the resolved experiment."""
        return f"{self.results}/{CONFIG}"

    def begin(self) -> None:
        """Lock the results folder until this process ends, and write the resolved experiment for the jobs.

        Nothing is done when another folder's figures are drawn.

        Raises:
            UserError: when another process works on this experiment or its folder cannot be written.
        """
        if self.drawn_from != self.results:
            return
        try:
            Path(self.results).mkdir(parents=True, exist_ok=True)
            self._locks.enter_context(locked(Path(self.results) / LOCK))
            if not self.is_written():
                with write_atomic(self.config_json) as partial:
                    partial.write_text(self.experiment.to_json(), encoding="utf-8")
            if restored := ledger.enter(Path(self.results), self.experiment.to_dict()):
                print(f"note: {restored}", file=sys.stderr)
        except BlockingIOError as error:
            raise UserError(
                f"{self.results}: another Snakemake works on this experiment; wait for it to end"
            ) from error
        except OSError as error:
            raise UserError(f"{self.results} cannot be written: {error.strerror}") from error

    def conda(self, environment: str) -> str:
        """Return the file of a conda environment."""
        return _literal(f"{REPOSITORY}/envs/{environment}.yaml")

    def image(self, environment: str) -> str:
        """Return the container image of an environment: a simulator's, or "analysis"."""
        return containers.image(self.experiment.container[environment])

    def python(self, deployed: bool) -> str:
        """Return the interpreter of the simulator's jobs, quoted for the shell command of a rule.

        Args:
            deployed: whether a container or conda gives the environment, with its own `python`.

        Raises:
            UserError: if the config's interpreter is not a program.
        """
        environment = self.experiment.environment
        named = self.experiment.python.get(environment)
        if deployed or named is None or self.drawn_from != self.results:
            return "python"
        found = shutil.which(expanded(named))
        if found is None:
            raise UserError(
                f"{self.source}: python.{environment} is {named}, which is not a program; it must be the path of a"
                " Python interpreter"
            )
        return _literal(shlex.quote(str(Path(found).absolute())))

    def look(self, deployed: bool) -> Findings:
        """Compare the files of the experiment with the present code and with what its steps left.

        Args:
            deployed: whether a container or conda gives the environment of the jobs.

        Raises:
            UserError: when a file that decides a result cannot be read.
        """
        if self.drawn_from != self.results:
            return Findings()
        elsewhere = deployed or self.experiment.environment in self.experiment.python
        return look(self.experiment, self.results, installed=not elsewhere)

    def report_the_others(self, deployed: bool) -> None:
        """Write tables and figures of the runs that have ended, when others have failed.

        Args:
            deployed: whether a container or conda gives the environment of the jobs.
        """
        if self.drawn_from == self.results:
            report_the_others(self.experiment, self.results, self.look(deployed))

    def check_simulator(self) -> None:
        """Check that Snakemake's own environment has the simulator, before runs are trained in it.

        Raises:
            UserError: if it does not, and the config names no other interpreter.
        """
        simulator, environment = self.experiment.simulator, self.experiment.environment
        if (
            self.is_ours
            and environment not in self.experiment.python
            and importlib.util.find_spec(SIMULATORS[simulator].module) is None
        ):
            raise UserError(
                f"{self.source}: simulator is {simulator}, which is not installed next to Snakemake;"
                f" python.{environment} must be the interpreter of an environment that has it;"
                f" {SIMULATORS[simulator].install}"
            )

    def container_settings(self) -> dict[str, str]:
        """Return the environment variables with which `--use-singularity` runs jobs.

        Raises:
            UserError: when an image is missing, or a folder cannot be mounted.
        """
        needed = ["analysis"] if self.drawn_from != self.results else [self.experiment.environment, "analysis"]
        containers.check_images({name: self.experiment.container[name] for name in needed}, self.source)
        if isinstance(self.experiment.trainer, External) and self.drawn_from == self.results:
            self._check_trainer_image(self.experiment.trainer)
        # Jobs hash the file of their own image, for run.json.
        files = [path for name in needed if Path(path := self.image(name)).is_file()]
        files += [start for variant in self.variants if (start := variant.train.init_from)]
        return containers.settings([self.results, "logs", self.drawn_from, *files])

    def _check_trainer_image(self, trainer: External) -> None:
        if not trainer.container:
            raise UserError(f"{self.source}: trainer.container is missing; with --use-singularity it must be an image")
        if "://" not in trainer.container and not Path(containers.image(trainer.container)).exists():
            raise UserError(
                f"{self.source}: trainer.container is {trainer.container}, which does not exist; with --use-singularity"
                " it must be a .sif file, a sandbox folder or a registry address (docker://...)"
            )

    @property
    def trainer_image(self) -> str:
        """The image that an external trainer is started in with `--use-singularity`; "" for ours."""
        trainer = self.experiment.trainer
        return containers.image(trainer.container) if isinstance(trainer, External) and trainer.container else ""

    @property
    def trainer_environment(self) -> str:
        """The environment variables of an external trainer, for its jobs, as JSON; no file holds their values."""
        trainer = self.experiment.trainer
        return json.dumps(trainer.environment) if isinstance(trainer, External) and not trainer.is_hidden else ""

    @property
    def is_ours(self) -> bool:
        """Whether our simulators play and film the policies: an external trainer's environment is not ours."""
        return self.experiment.trainer.is_ours

    @property
    def evaluates(self) -> bool:
        """Whether checkpoints are evaluated, by our simulators or by an external trainer's own command."""
        return self.experiment.trainer.evaluates

    @property
    def evaluation_settings(self) -> str:
        """What determines the results of an external trainer's evaluations, as text that changes with any of it."""
        trainer = self.experiment.trainer
        fields = trainer.evaluation_settings() if isinstance(trainer, External) and trainer.evaluate else {}
        return json.dumps([fields, self.experiment.evaluate.which()], sort_keys=True)

    @property
    def evaluations(self) -> list[str]:
        """The evaluations of all runs."""
        return self.run_files(EPISODES) if self.evaluates else []

    @property
    def factor_evaluations(self) -> list[str]:
        """The evaluations of all runs under factors."""
        return self.run_files(FACTORS) if self.factors else []

    @property
    def first_iteration(self) -> int:
        """The number that the event files give to the first iteration."""
        return self.experiment.trainer.first_iteration

    def is_written(self) -> bool:
        """Whether an earlier invocation has checked and written the same experiment."""
        path = Path(self.config_json)
        return path.is_file() and path.read_bytes() == self.experiment.to_json().encode()

    @cached_property
    def threads(self) -> dict[tuple[str, str], int]:
        """CPU threads of every run, by variant and seed."""
        runs = [(variant, str(seed)) for variant in self.experiment.variants for seed in self.experiment.seeds]
        if self.cores is None:
            shared = [CLUSTER_THREADS] * len(runs)
        elif self.gpu_slots:
            beside = min(len(runs), max(1, self.gpu_slots // self.experiment.gpus_per_run))
            shared = [max(1, self.cores // beside)] * len(runs)
        else:
            shared = threads_of_runs(len(runs), self.cores)
        return {
            (variant.name, seed): threads if variant.train.threads == "auto" else int(variant.train.threads)
            for (variant, seed), threads in zip(runs, shared, strict=True)
        }

    def _fewest_threads(self, variant: str) -> int:
        return min(self.threads[variant, str(seed)] for seed in self.experiment.seeds)

    @cached_property
    def gpu_slots(self) -> int | None:
        """How many shares of this machine's GPUs runs can have at once; None where runs take none of them."""
        if self.cores is None or not self.experiment.leases_gpus:
            return None
        return len(gpus.allowed(self.experiment.gpus)) * self.experiment.jobs_per_gpu

    def check_gpus(self) -> None:
        """Raise UserError when this machine has fewer GPUs than one run takes."""
        wanted = self.experiment.gpus_per_run
        if self.gpu_slots is not None and self.gpu_slots < wanted * self.experiment.jobs_per_gpu:
            there = self.gpu_slots // self.experiment.jobs_per_gpu
            raise UserError(
                f"device is cuda and a run takes {wanted} GPU{'s' if wanted > 1 else ''}, but {there or 'none'} can be"
                " used here (nvidia-smi and CUDA_VISIBLE_DEVICES say which); device: cpu trains without"
            )

    def check_trainer(self) -> None:
        """Raise UserError when an external trainer's program is not on this machine, on which its runs will start."""
        if isinstance(self.experiment.trainer, External) and self.cores is not None:
            find_programs(self.experiment.trainer)

    @property
    def training_resources(self) -> dict[str, Callable[[Any], int]]:
        """The resources of the rule that trains, as functions of its wildcards: run time (min), memory (MB), GPUs.

        All GPUs of a run must be in one machine (`nodes`), whose processes it starts.
        """
        # Where runs take no GPU these resources are left out: some clusters treat gpu=0 as a request.
        names = ["runtime", "mem_mb", *(["gpu", "gpu_slots", "nodes"] if self.experiment.leases_gpus else [])]
        return {name: _resource(self.training_demand, name) for name in names}

    @property
    def evaluation_resources(self) -> dict[str, Callable[[Any], int]]:
        """The resources of the rule that evaluates, as functions of its wildcards; see `evaluation_demand`."""
        names = ["runtime", "mem_mb"]
        if not self.is_ours and self.experiment.leases_gpus:
            names += ["gpu", "gpu_slots"]
        return {name: _resource(self.evaluation_demand, name) for name in names}

    @property
    def factor_resources(self) -> dict[str, Callable[[Any], int]]:
        """The resources of the rule that evaluates under factors, as functions of its wildcards."""
        return {name: _resource(self.factor_demand, name) for name in ("runtime", "mem_mb")}

    def training_demand(self, variant: str) -> dict[str, int]:
        """Return the resources of one run: run time (min), memory (MB), GPUs, shares of this machine's GPUs, nodes."""
        chosen, leases, trainer = self.experiment.variant(variant), self.experiment.leases_gpus, self.experiment.trainer
        wanted = dict.fromkeys(("gpu", "gpu_slots"), self.experiment.gpus_per_run) | {"nodes": 1} if leases else {}
        if isinstance(trainer, External):
            return wanted | {"runtime": trainer.runtime, "mem_mb": trainer.mem_mb}
        samples = (self.experiment.samples_per_iteration(variant) or 0) * chosen.train.max_iterations
        return wanted | {
            "runtime": training_minutes(samples, self._fewest_threads(variant), leases),
            "mem_mb": memory_mb(chosen.train.num_envs),
        }

    def evaluation_demand(self, variant: str) -> dict[str, int]:
        """Return the resources of the evaluation of one run: run time (min), memory (MB), GPUs."""
        trainer = self.experiment.trainer
        if isinstance(trainer, External):
            return {"runtime": trainer.runtime, "mem_mb": trainer.mem_mb, "gpu": 1, "gpu_slots": 1}
        return self._playing_demand(variant, self.experiment.episodes_of(self.experiment.variant(variant)))

    def factor_demand(self, variant: str) -> dict[str, int]:
        """Return the resources of the evaluation of one run under factors: run time (min), memory (MB)."""
        evaluate = self.experiment.evaluate
        return self._playing_demand(variant, evaluate.episodes * len(conditions(evaluate.factors)))

    def _playing_demand(self, variant: str, episodes: int) -> dict[str, int]:
        """Return the resources of playing so many episodes: run time (min), memory (MB)."""
        steps = Description.from_dict(self.experiment.description or {}).episode_steps
        return {
            "runtime": evaluation_minutes(episodes * steps, self._fewest_threads(variant)),
            "mem_mb": memory_mb(self.experiment.evaluate.episodes),
        }

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants in the order of config.yaml."""
        return self.experiment.variants

    def settings(self, variant: str, seed: int | str) -> str:
        """Return what determines the result of a run, as text that changes when any of it does."""
        return json.dumps(self.experiment.settings(variant, int(seed)), sort_keys=True)

    @property
    def all_settings(self) -> list[str]:
        """What determines the results of all runs, in the order of the config."""
        return [self.settings(variant.name, seed) for variant in self.variants for seed in self.experiment.seeds]

    def filmed(self, variant: str) -> str:
        """Return what is filmed of a variant: the last checkpoint of its first seed, or the run that a race may end."""
        run = f"{self.results}/{run_folder(variant, self.experiment.seeds[0])}"
        last = self.experiment.variant(variant).checkpoints[-1]
        return run if self.rungs else f"{run}/{checkpoint_name(last)}"

    @property
    def rungs(self) -> tuple[int, ...]:
        """The rungs of the race; none without a race."""
        return self.experiment.race.rungs if self.experiment.race else ()

    @property
    def decided(self) -> list[str]:
        """The last decision of the race, which says how long each run becomes; nothing without a race."""
        return [f"{self.results}/{decision_name(rung)}" for rung in self.rungs[-1:]]

    def decided_before(self, rung: int | str) -> list[str]:
        """Return the decision of the rung before one; nothing for the first."""
        before = self.experiment.race.before(int(rung)) if self.experiment.race else ()
        return [f"{self.results}/{decision_name(earlier)}" for earlier in before[-1:]]

    def scores(self, rung: int | str) -> list[str]:
        """Return the files that say how each run did at a rung."""
        return self.run_files(score_name(int(rung)))

    @property
    def race_settings(self) -> str:
        """What decides who goes on, as text that changes with any of it."""
        return self.experiment.race.model_dump_json() if self.experiment.race else ""

    def rung_settings(self, variant: str, seed: int | str, rung: int | str) -> str:
        """Return what determines the score of a run at a rung, as text that changes when any of it does."""
        settings = self.experiment.settings(variant, int(seed))
        settings["train"] |= {"max_iterations": int(rung)}
        race = self.experiment.race
        episodes = race and [race.episodes, race.seed, self.experiment.evaluate.overrides]
        return json.dumps([settings, episodes], sort_keys=True)

    @property
    def records(self) -> list[str]:
        """The records of all runs."""
        return self.run_files(RUN_RECORD)

    @property
    def scalars(self) -> list[str]:
        """The scalars of all runs."""
        return self.run_files(SCALARS)

    def run_files(self, name: str) -> list[str]:
        """Return the path of a file of this name in every run's folder."""
        return [
            f"{self.results}/{run_folder(variant.name, seed)}/{name}"
            for variant in self.variants
            for seed in self.experiment.seeds
        ]


def _resource(demand: Callable[[str], dict[str, int]], name: str) -> Callable[[Any], int]:
    return lambda wildcards: demand(wildcards.variant)[name]


def _literal(text: str) -> str:
    """Return a text in which Snakemake, which fills in what stands in braces, finds nothing to fill in."""
    return text.replace("{", "{{").replace("}", "}}")


def make_plan(
    configfiles: Sequence[str | Path],
    changes: Mapping[str, Any],
    cores: int | None,
    module: Mapping[str, Any] | None = None,
) -> Plan:
    """Read and check what Snakemake was called with.

    Args:
        configfiles: the files of `--configfile`; config.yaml when there are none.
        changes: the values of `--config`; `results` is the folder that the target `figures` draws.
        cores: the number of `--cores`.
        module: the config that another workflow gives its module of this one; files and changes are then that
            workflow's. Its key `source` is what messages call it.

    Raises:
        UserError: with one sentence for each thing that is wrong.
    """
    files = tuple(str(relative(path)) for path in configfiles) or ("config.yaml",)
    fields = typed(changes if module is None else module)
    drawn_from = fields.pop("results", None)
    source = files[-1] if module is None else str(fields.pop("source", "the module's config"))
    experiment = load(files, fields) if module is None else resolve(fields, source)
    for folder in (RESULTS, f"{RESULTS}/{experiment.experiment}", "logs"):
        if Path(folder).exists() and not Path(folder).is_dir():
            raise UserError(f"{folder} is a file; it must be a folder, or not be there")
    plan = Plan(experiment, cores, str(drawn_from or f"results/{experiment.experiment}"), source)
    for variant in experiment.variants:
        threads = variant.train.threads
        if cores is not None and threads != "auto" and int(threads) > cores:
            raise UserError(
                f"{source}: train.threads is {threads}, but Snakemake has {cores} cores;"
                " it must be auto or at most the number of --cores"
            )
    if experiment.description is None:
        plan = replace(plan, experiment=_with_recorded_description(experiment, Path(plan.config_json)))
    if not plan.is_written():
        plan = replace(plan, experiment=checked_apart(experiment, source, cluster=cores is None))
    return plan


def _with_recorded_description(experiment: Experiment, recorded: Path) -> Experiment:
    """Return the experiment with the description that an earlier invocation got of the task's own process."""
    if not recorded.is_file():
        return experiment
    try:
        known = read_resolved(recorded)
    except UserError:  # it is written anew
        return experiment
    same = known.model_copy(update={"description": None}) == experiment
    return known if same else experiment


def threads_of_runs(runs: int, cores: int) -> list[int]:
    """Return the threads of every run, so that all runs end soonest.

    Rounds of `floor(cores / threads)` runs at once; the remaining runs share the cores in the same way, with more
    threads each. A run's speed follows Amdahl's law.

    Args:
        runs: how many runs there are.
        cores: how many CPU cores they share.
    """

    @cache
    def shortest(runs: int) -> tuple[float, tuple[int, ...]]:
        if runs == 0:
            return 0.0, ()
        plans = []
        for threads in range(1, max(cores, 1) + 1):
            beside = min(max(cores // threads, 1), runs)
            rounds, left = divmod(runs, beside)
            time, rest = shortest(left)
            plans.append((round(rounds / speedup(threads) + time, 9), (threads,) * (rounds * beside) + rest))
        return min(plans)

    return list(shortest(runs)[1])


def typed(value: Any) -> Any:
    """Give values within lists and mappings their types back; Snakemake's command line leaves text."""
    if isinstance(value, Mapping):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return parse_scalar(value) if isinstance(value, str) else value


def relative(path: str | Path) -> Path:
    """Return a path relative to the working directory if it is below it, so that no path of this machine is stored."""
    path = Path(path)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
