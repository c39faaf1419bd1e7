"""A policy as one file for a robot: ONNX or TorchScript, from observations to controls."""

import io
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyseeds.core.arguments import verb_parser
from manyseeds.core.errors import UserError
from manyseeds.core.files import write_atomic
from manyseeds.core.record import check_left, recorded_checkpoints
from manyseeds.learning import foreign

if TYPE_CHECKING:
    from torch import Tensor, nn

    from manyseeds.tasks.base import Task

METADATA_FILE = "metadata.json"
"""The extra file of a TorchScript archive that describes it; in ONNX its keys are metadata properties."""


def export(checkpoint: Path, outputs: Sequence[Path], run_dir: Path | None = None) -> dict[Path, float]:
    """Write a checkpoint's deterministic policy with its observation normalizer and action scaling.

    The files map `obs` (n, observation width) to `actions` (n, action width), which the next observation may need, and
    to the controls (n, nu) that the robot's actuators need, under the name that the task gives them.

    Args:
        checkpoint: model_<iteration>.pt of a run.
        outputs: files to write; .onnx is ONNX, .pt is TorchScript.
        run_dir: folder of the run, for its params; by default the checkpoint's.

    Returns:
        For every file the largest absolute difference from the torch policy on 1,000 random observations.

    Raises:
        UserError: when the checkpoint or the params are damaged, or for another file name.
    """
    import torch

    for path in outputs:
        if path.suffix not in (".onnx", ".pt"):
            raise UserError(f"{path}: a policy's file must end in .onnx or .pt (TorchScript).")
        if path.resolve() == checkpoint.resolve():
            raise UserError(f"{path}: the policy would replace the checkpoint that it is made from; name another file.")
    if not checkpoint.is_file():
        raise UserError(f"{checkpoint} is not a file; give the model_<iteration>.pt of a run.")
    module, metadata = _policy_module(checkpoint, run_dir or checkpoint.parent)
    obs = torch.randn(1000, metadata["inputs"][0]["size"], generator=torch.Generator().manual_seed(0))
    if (inverse := getattr(module.network.obs_normalizer, "inverse", None)) is not None:
        obs = inverse(obs)  # as wide as those the policy was trained with
    with torch.no_grad():
        expected = torch.cat(module(obs), dim=1)
    differences = {}
    for path in outputs:
        write, run = (_write_onnx, _run_onnx) if path.suffix == ".onnx" else (_write_torchscript, _run_torchscript)
        write(path, module, obs[:2], metadata)
        differences[path] = float((torch.cat(run(path, obs), dim=1) - expected).abs().max())
    return differences


def _policy_module(checkpoint: Path, run_dir: Path) -> tuple["nn.Module", dict[str, Any]]:
    import torch
    from torch import nn

    from manyseeds.learning.policy import Policy, read_params
    from manyseeds.simulators.vec_env import TensorDict
    from manyseeds.tasks import registry
    from manyseeds.tasks.base import configure
    from manyseeds.tasks.code import check_task

    check_left(checkpoint)
    params, source = read_params(run_dir), str(run_dir / "params" / "env.yaml")
    check_task(run_dir, params.env["task"])
    task = registry.load(params.env["task"])
    cfg = configure(task, params.env["task_cfg"], source)
    obs = TensorDict({"policy": torch.zeros(1, task.observation_width)}, [1])
    policy = Policy(params.agent, obs, task.action_width)
    iteration = policy.load(checkpoint)

    class RobotPolicy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = policy.model.as_jit()

        def forward(self, obs: "Tensor") -> tuple["Tensor", "Tensor"]:
            actions = self.network(obs)
            return actions, task.act(cfg, actions)

    return RobotPolicy().eval(), _metadata(params.env, iteration, task, cfg)


def _metadata(env: dict[str, Any], iteration: int, task: "Task", cfg: Any) -> dict[str, Any]:
    width = task.observation_width
    parts = [{"name": name, "size": term.width, "unit": term.unit} for name, term in task.observations.items()]
    actuators = [actuator.name for actuator in task.model(cfg).actuators]
    return {
        "task": env["task"],
        "simulator": env["simulator"],
        "iteration": iteration,
        "step_s": cfg.step_dt,
        "inputs": [{"name": "obs", "shape": ["n", width], "size": width, "dtype": "float32", "parts": parts}],
        "outputs": [
            {"name": "actions", "shape": ["n", task.action_width], "dtype": "float32", "unit": task.action_unit},
            {
                "name": task.controls,
                "shape": ["n", len(actuators)],
                "dtype": "float32",
                "unit": task.control_unit,
                "parts": actuators,
            },
        ],
        "contains": "observation normalizer, network, action scaling; deterministic",
    }


def _write_torchscript(path: Path, module: "nn.Module", obs: "Tensor", metadata: dict[str, Any]) -> None:
    import torch

    with warnings.catch_warnings():
        # Silence two warnings: TorchScript is deprecated, and the task's numbers become constants, as intended.
        warnings.simplefilter("ignore")
        traced = torch.jit.freeze(torch.jit.trace(module, obs))
        # Through memory, for torch puts the name of a file into it.
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer, _extra_files={METADATA_FILE: json.dumps(metadata)})
    with write_atomic(path) as partial:
        partial.write_bytes(buffer.getvalue())


def _run_torchscript(path: Path, obs: "Tensor") -> tuple["Tensor", ...]:
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        outputs: tuple[Tensor, ...] = torch.jit.load(str(path))(obs)
    return outputs


def _write_onnx(path: Path, module: "nn.Module", obs: "Tensor", metadata: dict[str, Any]) -> None:
    import onnx
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision is missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (obs,),
            input_names=["obs"],
            output_names=[output["name"] for output in metadata["outputs"]],
            dynamic_shapes={"obs": {0: torch.export.Dim("n")}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # Stack traces of the exporting machine.
    for part in (
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        del part.metadata_props[:]
    for key, value in metadata.items():
        text = value if isinstance(value, str) else json.dumps(value)
        model.metadata_props.add(key=key, value=text)
    onnx.checker.check_model(model)
    with write_atomic(path) as partial:
        onnx.save(model, str(partial))


def _run_onnx(path: Path, obs: "Tensor") -> tuple["Tensor", ...]:
    import torch
    from onnx.reference import ReferenceEvaluator

    return tuple(torch.from_numpy(part) for part in ReferenceEvaluator(str(path)).run(None, {"obs": obs.numpy()}))


def main(argv: Sequence[str] | None = None) -> int:
    """Export a checkpoint; return 0."""
    parser = verb_parser(
        "export",
        __doc__,
        "results/lift_object/default/seed_1/model_500.pt --output policy.onnx\n"
        "results/lift_object/default/seed_1 --bundle lift_policy --licence apache-2.0",
    )
    parser.add_argument("checkpoint", type=Path, help="model_<iteration>.pt of a run, or its folder: the last one")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=Path, nargs="+", help="files to write: .onnx, or .pt for TorchScript")
    what.add_argument(
        "--bundle",
        type=Path,
        metavar="FOLDER",
        help="folder to make for others: policy.onnx, model card, record, film and a control loop",
    )
    parser.add_argument("--run_dir", type=Path, help="folder of the run with params/ (the checkpoint's)")
    parser.add_argument("--licence", default="", help="of a bundle, as model hubs spell it, such as apache-2.0")
    parser.add_argument(
        "--film_seconds", type=float, default=5, help="length of a bundle's film; 0: none (without OpenGL)"
    )
    foreign.add_flag(parser)
    args = parser.parse_args(argv)
    foreign.allow(args.allow_code)
    checkpoint = args.checkpoint
    if checkpoint.is_dir():
        checkpoint = list(recorded_checkpoints(checkpoint).values())[-1]
    run_dir = args.run_dir or checkpoint.parent
    if args.bundle:
        from manyseeds.evaluation.bundle.make import make_bundle

        differences = {
            args.bundle: make_bundle(
                checkpoint, args.bundle, run_dir=run_dir, licence=args.licence, film_seconds=args.film_seconds
            )
        }
    else:
        differences = export(checkpoint, args.output, run_dir)
    for path, difference in differences.items():
        print(f"{path}: largest difference from the torch policy {difference:.1e} on 1,000 observations")
    return 0
