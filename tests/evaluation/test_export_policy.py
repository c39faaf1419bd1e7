"""Exported policies do what the torch policy does, and say what goes in and comes out."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from tensordict import TensorDict

from helpers.training_runs import train
from helpers.verbs import verb
from manyseeds.core.errors import UserError
from manyseeds.evaluation.export import METADATA_FILE, export
from manyseeds.learning.policy import Policy, read_params
from manyseeds.tasks.lift_object.task import LiftObjectCfg, joint_targets

main = verb("export")


pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose policy has a normalizer, and a task with another action scale."""
    folder = tmp_path_factory.mktemp("export") / "run"
    assert train(folder, max_iterations=2, task_cfg={"action_scale": 0.3}) == 0
    return folder


@pytest.fixture(scope="module")
def files(run):
    paths = [run / "policy.onnx", run / "policy.pt"]
    export(run / "model_2.pt", paths)
    return paths


@pytest.fixture(scope="module")
def expected(run):
    params = read_params(run)
    policy = Policy(params.agent, TensorDict({"policy": torch.zeros(1, 36)}, [1]), 8)
    policy.load(run / "model_2.pt")
    noise = torch.randn(1000, 36, generator=torch.Generator().manual_seed(1))
    obs = policy.model.obs_normalizer.inverse(noise)
    with torch.no_grad():
        actions = policy.model(TensorDict({"policy": obs}, [1000]))
    assert policy.model.obs_normalizer.std.min() < 0.9
    return obs, actions, joint_targets(LiftObjectCfg(action_scale=0.3), actions)


def test_a_policy_does_not_replace_the_checkpoint_that_it_is_made_from(run, capsys):
    before = (run / "model_2.pt").read_bytes()
    assert main([str(run / "model_2.pt"), "--output", str(run / "model_2.pt")]) == 2
    assert "would replace the checkpoint" in capsys.readouterr().err
    assert (run / "model_2.pt").read_bytes() == before


def test_onnx_gives_the_torch_policys_actions_and_targets(files, expected):
    obs, *wanted = expected
    found = onnxruntime.InferenceSession(files[0]).run(None, {"obs": obs.numpy()})
    difference = max(np.abs(a - b.numpy()).max() for a, b in zip(found, wanted, strict=True))
    print(f"ONNX: largest difference from the torch policy {difference:.1e}")
    assert difference < 1e-5


def test_torchscript_gives_the_torch_policys_actions_and_targets(files, expected):
    obs, *wanted = expected
    found = torch.jit.load(files[1])(obs)
    difference = max((a - b).abs().max().item() for a, b in zip(found, wanted, strict=True))
    print(f"TorchScript: largest difference from the torch policy {difference:.1e}")
    assert difference < 1e-5


def test_one_observation_is_enough(files, expected):
    obs = expected[0][:1]
    assert onnxruntime.InferenceSession(files[0]).run(None, {"obs": obs.numpy()})[1].shape == (1, 9)
    assert torch.jit.load(files[1])(obs)[1].shape == (1, 9)


def test_metadata_names_inputs_and_outputs_with_shapes_and_units(files):
    properties = onnxruntime.InferenceSession(files[0]).get_modelmeta().custom_metadata_map
    extra = {METADATA_FILE: ""}
    torch.jit.load(files[1], _extra_files=extra)
    script = json.loads(extra[METADATA_FILE])
    for key in ("inputs", "outputs"):
        assert json.loads(properties[key]) == script[key]
    [obs] = script["inputs"]
    assert (obs["name"], obs["shape"]) == ("obs", ["n", 36])
    assert sum(part["size"] for part in obs["parts"]) == 36 and all(part["unit"] for part in obs["parts"])
    assert [(out["name"], out["shape"]) for out in script["outputs"]] == [
        ("actions", ["n", 8]), ("joint_position_targets", ["n", 9])
    ]  # fmt: skip
    assert "rad" in script["outputs"][1]["unit"]
    assert [part["name"] for part in obs["parts"]][:2] == ["joint_pos", "joint_vel"]
    assert script["outputs"][1]["parts"][-1] == "panda_finger_joint2"
    assert (script["iteration"], properties["iteration"]) == (2, "2")


def test_the_command_tells_the_difference_and_repeats_onnx_to_the_byte(run, files, tmp_path, capsys):
    again = tmp_path / "again.onnx"
    assert main([str(run / "model_2.pt"), "--output", str(again)]) == 0
    assert "again.onnx: largest difference from the torch policy" in capsys.readouterr().out
    assert again.read_bytes() == files[0].read_bytes()


def test_another_kind_of_file_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"must end in \.onnx or \.pt"):
        export(run / "model_2.pt", [tmp_path / "policy.h5"])
