"""What actuators do with controls; without Isaac Lab."""

import mujoco
import pytest
import torch

from manyseeds.simulators.isaaclab.actuators import is_motor, is_servo, joint_commands
from manyseeds.simulators.model import load_model
from manyseeds.tasks import registry
from manyseeds.tasks.base import configure

ACTUATORS = {
    "plain": '<motor name="plain" joint="a"/>',
    "geared": '<motor name="geared" joint="a" gear="-3"/>',
    "gain": '<general name="gain" joint="a" gainprm="4"/>',
    "limited": '<motor name="limited" joint="a" gear="2" forcelimited="true" forcerange="-3 5"/>',
    "limited joint": '<motor name="limited joint" joint="b" gear="2" forcelimited="true" forcerange="-8 9"/>',
}


def compiled(actuators: str) -> mujoco.MjModel:
    """Two sliding boxes, the joint of the second with a limit of its force, and actuators."""
    box = '<body><joint name="{}" type="slide" {}/><geom type="box" size="0.1 0.1 0.1"/></body>'
    boxes = box.format("a", "") + box.format("b", 'actuatorfrclimited="true" actuatorfrcrange="-7 11"')
    return mujoco.MjSpec.from_string(
        f"<mujoco><worldbody>{boxes}</worldbody><actuator>{actuators}</actuator></mujoco>"
    ).compile()


@pytest.mark.parametrize("name", ACTUATORS)
def test_a_motor_pushes_its_joint_with_mujocos_force(name):
    model = compiled(ACTUATORS[name])
    data = mujoco.MjData(model)
    assert is_motor(model, 0) and not is_servo(model, 0)
    controls = torch.tensor([[-40.0], [-2.0], [0.5], [6.0]])
    forces = joint_commands(model, "cpu")(controls)
    for control, force in zip(controls, forces, strict=True):
        data.ctrl[:] = control.numpy()
        mujoco.mj_forward(model, data)
        assert force.item() == data.qfrc_actuator[model.actuator_trnid[0, 0]] != 0


def test_the_target_of_a_servo_beside_a_motor_stays_as_it_is():
    model = compiled(
        '<motor name="m" joint="b" gear="2"/>'
        '<position name="p" joint="a" kp="30" forcelimited="true" forcerange="-1 1"/>'
    )
    assert is_servo(model, 1) and not is_motor(model, 1)
    assert joint_commands(model, "cpu")(torch.tensor([[3.0, -20.0]])).tolist() == [[6.0, -20.0]]


def test_cart_poles_force_is_its_control():
    task = registry.load("cart_pole")
    model = load_model(task, configure(task, {}))
    controls = torch.tensor([[-400.0], [3.5]])
    assert torch.equal(joint_commands(model, "cpu")(controls), controls)


def test_a_servo_whose_force_has_two_limits_is_none_that_newton_has():
    assert not is_servo(compiled('<position joint="a" forcelimited="true" forcerange="-1 2"/>'), 0)
    assert not is_servo(compiled('<position joint="b"/>'), 0), "the joint's limits differ"
