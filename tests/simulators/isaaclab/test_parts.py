"""Which bodies become which assets of Isaac Lab, and what is refused; without Isaac Lab."""

import mujoco
import pytest

from manyseeds.core.errors import UserError
from manyseeds.simulators.isaaclab.parts import collides_with_itself, parts
from manyseeds.simulators.model import load_model
from manyseeds.tasks import registry
from manyseeds.tasks.base import configure

SLIDE = '<joint name="{name}" type="slide"/>'
BALL = '<geom name="{name}" size="0.1"/>'


def compiled(world: str, more: str = "") -> mujoco.MjModel:
    return mujoco.MjSpec.from_string(f"<mujoco><worldbody>{world}</worldbody>{more}</mujoco>").compile()


def arm(inner: str, name: str = "base") -> str:
    return f'<body name="{name}">{inner}</body>'


def link(name: str, inner: str = "") -> str:
    return f'<body name="{name}_link">{SLIDE.format(name=name)}{BALL.format(name=name)}{inner}</body>'


def part_of(name: str) -> dict[str, tuple]:
    task = registry.load(name)
    found = parts(load_model(task, configure(task, {})))
    return {part.name: (part.kind, len(part.joints), part.qpos, part.qvel) for part in found}


def test_lift_object_is_a_table_a_robot_and_a_cube():
    assert part_of("lift_object") == {
        "table": ("static", 0, slice(0), slice(0)),
        "panda_link0": ("articulation", 9, slice(0, 9), slice(0, 9)),
        "object": ("free", 0, slice(9, 16), slice(9, 15)),
    }


def test_reach_is_a_robot_and_its_marks_are_no_part():
    assert part_of("reach") == {"panda_link0": ("articulation", 9, slice(0, 9), slice(0, 9))}


def test_cart_pole_is_a_robot_whose_pole_nothing_drives():
    assert part_of("cart_pole") == {"rail": ("articulation", 2, slice(0, 2), slice(0, 2))}


def test_walk_is_a_floor_and_a_robot_whose_trunk_moves_freely():
    assert part_of("walk") == {
        "world": ("static", 0, slice(0), slice(0)),
        "trunk": ("articulation", 12, slice(0, 19), slice(0, 18)),
    }


def test_coordinates_follow_the_order_of_the_bodies_and_a_floor_is_the_worlds():
    world = (
        '<geom type="plane" size="1 1 1"/>'
        f'<body name="puck"><freejoint/>{BALL.format(name="puck")}</body>'
        + arm(link("x", link("y")))
        + arm(link("z"), "other")
    )
    found = {part.name: part for part in parts(compiled(world))}
    assert list(found) == ["world", "puck", "base", "other"]
    assert found["puck"].qpos == slice(0, 7) and found["puck"].qvel == slice(0, 6)
    assert [part.floats for part in found.values()] == [False, True, False, False]
    assert found["base"].joints == ("x", "y")
    assert found["base"].qpos == slice(7, 9) and found["base"].qvel == slice(6, 8)
    assert found["other"].qpos == slice(9, 10)


def test_a_floor_that_nothing_can_touch_is_no_part():
    shown = '<geom type="plane" size="1 1 1" contype="0" conaffinity="0"/>'
    assert [part.name for part in parts(compiled(shown + arm(link("x"))))] == ["base"]


def test_masks_say_whether_a_part_collides_with_itself():
    model = compiled(arm(link("x", link("y"))))
    assert collides_with_itself(model, parts(model)[0])
    model.geom_conaffinity[:] = 2
    assert not collides_with_itself(model, parts(model)[0])


DRIVEN = arm(link("x"))


@pytest.mark.parametrize(
    "world, more, sentence",
    [
        (arm(link("x"), "my-base"), "", "the body 'my-base'"),
        ("<body>" + BALL.format(name="b") + "</body>", "", "the body ''"),
        (arm('<body name="b"><joint name="ball" type="ball"/><geom size="0.1"/></body>'), "", "the joint 'ball'"),
        (f'<body name="b">{SLIDE.format(name="x")}<geom size="0.1"/></body>', "", "the joint 'x' where it is"),
        (
            arm(f'<body name="b">{SLIDE.format(name="x")}{SLIDE.format(name="y")}<geom size="0.1"/></body>'),
            "",
            "the joint 'x' where it is",
        ),
        (
            '<body name="b"><freejoint name="f"/><geom size="0.1"/><body name="c"><geom size="0.1"/></body></body>',
            "",
            "the free joint 'f'",
        ),
        (
            DRIVEN,
            '<actuator><motor name="m" joint="x"/><motor name="n" joint="x"/></actuator>',
            "the actuator 'm'",
        ),
        (DRIVEN, '<actuator><damper name="m" joint="x" kv="1" ctrlrange="0 1"/></actuator>', "the actuator 'm'"),
        (DRIVEN, '<actuator><velocity name="v" joint="x"/></actuator>', "the actuator 'v'"),
        (
            arm(link("x", link("y"))),
            '<equality><joint joint1="x" joint2="y"/></equality>',
            "an element of the kind 'equality'",
        ),
        (DRIVEN, '<actuator><position name="p" joint="x" gear="2"/></actuator>', "the actuator 'p'"),
        (
            DRIVEN,
            '<actuator><position name="p" joint="x"/><position name="q" joint="x"/></actuator>',
            "the actuator 'p'",
        ),
        (DRIVEN + '<body name="hand" mocap="true"><geom size="0.1"/></body>', "", "the mocap body 'hand'"),
    ],
)
def test_what_isaac_lab_would_make_otherwise_is_refused_by_name(world, more, sentence):
    with pytest.raises(UserError) as raised:
        parts(compiled(world, more))
    assert sentence in str(raised.value) and "simulator 'isaaclab'" in str(raised.value)
