"""The task lift_objects against MuJoCo and independent computations: its objects, its terms, and what it refuses."""

import dataclasses

import mujoco
import numpy as np
import pytest
import torch

from manyseeds.config.loading import load
from manyseeds.core.errors import UserError
from manyseeds.core.layout import REPOSITORY
from manyseeds.simulators import make_env
from manyseeds.simulators.base import TaskEnv
from manyseeds.simulators.model import adapt_model, load_model
from manyseeds.simulators.rendering import Pictures
from manyseeds.tasks import base
from manyseeds.tasks.base import Trace, configure
from manyseeds.tasks.lift_object import task as lift_object
from manyseeds.tasks.lift_objects import description, task, terms
from manyseeds.tasks.lift_objects.grasp_starts import grasp_starts
from manyseeds.tasks.lift_objects.objects import KINDS, SHAPES, geom_names
from manyseeds.tasks.lift_objects.task import TASK, LiftObjectsCfg

CFG = LiftObjectsCfg()
RANDOM = {"object_mass_scale": [0.5, 2.0], "friction_scale": [0.7, 1.3]}
HOME = (*CFG.default_arm, CFG.gripper_open, CFG.gripper_open)


def alone(kind: str) -> dict[str, float]:
    """The overrides with which a kind is the only one."""
    return {f"{other}_share": 0.0 for other in KINDS if other != kind}


def draw(n: int, cfg: LiftObjectsCfg = CFG, seed: int = 0) -> base.Starts:
    return task.start(cfg, n, torch.Generator().manual_seed(seed))


def environment(simulator: str = "mujoco", num_envs: int = 40, **overrides: object) -> TaskEnv:
    options = {"num_envs": num_envs, "seed": 1, "threads": 1, "auto_reset": False}
    return make_env(simulator, "lift_objects", task_cfg=overrides, **options)  # type: ignore[arg-type]


def at_their_grasps(n: int) -> base.Starts:
    """Starts in which the open hand is around the object."""
    cfg = dataclasses.replace(CFG, grasp_start_share=1.0, grasp_start_exponent=1e-6)
    return task.train_start(cfg, n, torch.Generator().manual_seed(5))


def test_the_inertia_of_each_kind_is_the_one_that_mujoco_computes() -> None:
    for shape in SHAPES.values():
        spec = mujoco.MjSpec()
        body = spec.worldbody.add_body(pos=[0, 0, 1])
        body.add_freejoint()
        for part in shape.parts:
            geom = getattr(mujoco.mjtGeom, f"mjGEOM_{part.geom.upper()}")
            body.add_geom(type=geom, size=part.size, pos=[0, 0, part.height - shape.centre], density=1000)
        model = spec.compile()
        axes = np.zeros(9)
        mujoco.mju_quat2Mat(axes, model.body_iquat[1])
        inertia = axes.reshape(3, 3) @ np.diag(model.body_inertia[1]) @ axes.reshape(3, 3).T
        np.testing.assert_allclose(model.body_ipos[1], 0, atol=1e-9)
        np.testing.assert_allclose(inertia / model.body_mass[1], np.diag(shape.inertia), atol=1e-9)


def test_an_episode_moves_as_in_a_model_that_has_its_object_alone() -> None:
    """The shrunk parts of the other kinds change nothing, and sizes are those of the command."""
    starts = draw(10)
    env = environment(num_envs=10)
    env.reset_to(starts)
    for _ in range(12):
        env.step(torch.zeros(10, 8))
    for row, (kind, size) in enumerate(starts.command[:, 3:].tolist()):
        cfg = configure(TASK, alone(KINDS[int(kind)]) | {"object_size": [size, size]})
        model = load_model(TASK, cfg)
        adapt_model(model, TASK, cfg, starts.command[row])
        data = mujoco.MjData(model)
        mujoco.mj_setConst(model, data)
        data.qpos[:], data.ctrl[:] = starts.qpos[row], HOME
        mujoco.mj_step(model, data, 12 * CFG.decimation)
        np.testing.assert_allclose(env.state().qpos[row], data.qpos, atol=1e-4)


@pytest.mark.parametrize(("simulator", "num_envs"), [("mujoco", 40), ("mujoco_warp", 10)])
def test_every_object_comes_to_rest_upright_and_can_be_grasped_and_lifted(simulator: str, num_envs: int) -> None:
    env = environment(simulator, num_envs, **RANDOM)
    factors = base.draw_factors(TASK, env.task_cfg, num_envs, torch.Generator().manual_seed(3))
    env.reset_to(dataclasses.replace(draw(num_envs), factors=factors))
    for _ in range(40):
        env.step(torch.zeros(num_envs, 8))
    state = env.state()
    assert set(terms.kind_of(state.command).tolist()) == set(range(len(KINDS)))
    assert terms.lowest_point(state.qpos, state.command).abs().max() < 2e-3
    assert terms.rotation_z(state.qpos)[:, 2].min() > 0.99

    starts = at_their_grasps(num_envs)
    env.reset_to(dataclasses.replace(starts, factors=factors))
    arm = (starts.qpos[:, :7].float() - torch.tensor(CFG.default_arm)) / CFG.action_scale
    for step in range(90):
        back = 1 - min(max((step - 25) / 50, 0), 1)
        env.step(torch.cat((arm * back, torch.full((num_envs, 1), -1.0)), dim=1))
    near = dataclasses.replace(env.task_cfg, lifting_object_reach=0.06)
    assert terms.lifted(near, env.state()).all()
    env.check_physics()


def test_simulators_agree_on_the_terms_of_the_same_state() -> None:
    cpu, warp = environment("mujoco", 10), environment("mujoco_warp", 10)
    starts = at_their_grasps(10)
    for env in (cpu, warp):
        env.reset_to(starts)
        env.step(torch.zeros(10, 8))
    state = warp.state()
    cpu._qpos[:], cpu._qvel[:] = state.qpos.numpy(), state.qvel.numpy()  # type: ignore[attr-defined]
    for terms_of in (base.observe, base.rewards, base.terminations, base.metrics):
        torch.testing.assert_close(terms_of(TASK, CFG, cpu.state()), terms_of(TASK, CFG, state), atol=1e-5, rtol=1e-4)
    sizes = {name: cpu._scaled[name] for name in ("geom_size", "geom_pos", "body_inertia")}  # type: ignore[attr-defined]
    for name, values in sizes.items():
        there = warp._scaled[name]  # type: ignore[attr-defined]
        torch.testing.assert_close(there, torch.from_numpy(np.array(values)).float(), atol=1e-7, rtol=1e-5)


def test_a_cube_of_size_one_is_rewarded_as_in_lift_object() -> None:
    cfg = configure(TASK, alone("cube") | {"object_size": [1, 1], "lifting_object_reach": 0.06})
    env = environment(num_envs=20, **alone("cube") | {"object_size": [1, 1], "lifting_object_reach": 0.06})
    state = env.state()
    qpos = state.qpos.clone()
    qpos[:, 9:12] = state.sites["end_effector"] + 0.1 * torch.rand(20, 3, generator=torch.Generator().manual_seed(1))
    state = dataclasses.replace(state, qpos=qpos)
    qpos[::2, 11] = torch.linspace(0.03, 0.05, 10)
    there = dataclasses.replace(state, command=state.command[:, :3])
    other = lift_object.LiftObjectCfg(lifting_object_reach=0.06)
    torch.testing.assert_close(base.rewards(TASK, cfg, state), base.rewards(lift_object.TASK, other, there))


def test_the_lowest_point_is_that_of_the_corners_and_rims() -> None:
    generator = torch.Generator().manual_seed(2)
    n = 60
    command = draw(n).command
    qpos = torch.zeros(n, 16)
    qpos[:, 12:16] = torch.nn.functional.normalize(torch.randn(n, 4, generator=generator), dim=1)
    lowest = terms.lowest_point(qpos, command)
    ring = np.linspace(0, 2 * np.pi, 721)
    for row in range(n):
        shape, size = SHAPES[KINDS[int(command[row, 3])]], float(command[row, 4])
        foot, up = shape.parts[0], shape.total - shape.centre
        ends = (-shape.centre, up)
        if foot.geom == "sphere":
            assert float(lowest[row]) == pytest.approx(-size * foot.size[0], abs=1e-6)
            continue
        if foot.geom == "box":
            points = [
                (x, y, z) for x in (-foot.size[0], foot.size[0]) for y in (-foot.size[1], foot.size[1]) for z in ends
            ]
        else:
            points = [(foot.size[0] * np.cos(a), foot.size[0] * np.sin(a), z) for a in ring for z in ends]
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, qpos[row, 12:16].double().numpy())
        heights = size * (np.array(points) @ matrix.reshape(3, 3).T)[:, 2]
        assert float(lowest[row]) == pytest.approx(heights.min(), abs=2e-6)
        np.testing.assert_allclose(terms.rotation_x(qpos)[row], matrix.reshape(3, 3)[:, 0], atol=1e-6)
        np.testing.assert_allclose(terms.rotation_z(qpos)[row], matrix.reshape(3, 3)[:, 2], atol=1e-6)


def test_kinds_appear_with_their_shares_and_only_they_are_in_the_model() -> None:
    cfg = configure(TASK, {"cube_share": 3.0, "ball_share": 0.0, "bottle_share": 0.0})
    kinds = draw(5000, cfg).columns["kind"]
    shares = [float((kinds == place).float().mean()) for place in range(len(KINDS))]
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.0, 0.2, 0.0], atol=0.02)
    model = load_model(TASK, cfg)
    names = {model.geom(i).name for i in range(model.ngeom)}
    assert {name for kind in KINDS for name in geom_names(kind)} & names == {"cube_0", "cylinder_0", "flat_box_0"}
    assert (draw(500, configure(TASK, alone("bottle"))).columns["kind"] == KINDS.index("bottle")).all()


def test_the_first_episodes_are_the_same_for_every_number() -> None:
    few, many = draw(5), draw(9)
    torch.testing.assert_close(few.command, many.command[:5])
    torch.testing.assert_close(few.qpos, many.qpos[:5])


def test_easier_starts_have_the_hand_around_an_object_of_the_size_of_the_command() -> None:
    starts = at_their_grasps(100)
    kind, size = terms.kind_of(starts.command), starts.command[:, 4]
    centres = torch.tensor([SHAPES[name].centre for name in KINDS])[kind] * size
    torch.testing.assert_close(starts.qpos[:, 11].float(), centres)
    assert (grasp_starts(CFG).count > 100).all()
    env = environment(num_envs=100)
    env.reset_to(starts)
    assert terms.reach_distance(CFG, env.state()).max() < 2e-3


def test_an_episode_is_judged_by_its_own_object() -> None:
    qpos = torch.zeros(3, 2, 16)
    qpos[:, :, 12] = 1
    qpos[:, 0, 11] = torch.tensor([0.02, 0.3, -0.1])  # lifted to its target, then dropped
    qpos[:, 1, 11] = 0.035  # a flat box 2 cm above the table; an upright bottle of that height stands on it
    command = torch.tensor([[0.0, 0.0, 0.3, 0.0, 1.0], [0.0, 0.0, 0.5, 3.0, 1.0]])
    hand = qpos[:, :, 9:12] + torch.tensor([0.0, 0.03, 0.0])
    trace = Trace(qpos, torch.zeros(3, 2, 15), {"end_effector": hand}, {}, command, 0.02)
    judged = description.judge(CFG, trace)
    assert {
        name: value.tolist() for name, value in judged.items() if name in ("reached", "held", "lifted", "dropped")
    } == {
        "reached": [True, False],
        "held": [False, False],
        "lifted": [True, True],
        "dropped": [True, False],
    }
    command[1, 3] = KINDS.index("bottle")
    assert description.judge(CFG, trace)["lifted"].tolist() == [True, False]
    hand[:, 0, 1] += 0.1  # an episode starts above the table, without the hand
    assert description.judge(CFG, trace)["lifted"].tolist() == [False, False]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({f"{kind}_share": 0.0 for kind in KINDS}, "'cube_share' and all other shares are 0; one of"),
        ({"ball_share": -1.0}, "'ball_share' is -1.0; it must be 0 or greater"),
        ({"object_size": [0.8, 1.5]}, "'object_size' is [0.8, 1.5]; its numbers must be between 0.5 and 1.25"),
        ({"grasp_start_share": 1.5}, "'grasp_start_share' is 1.5; it must be between 0 and 1"),
        ({"success_distance": 0.0}, "'success_distance' is 0.0; it must be greater than 0"),
    ],
)
def test_bad_numbers_are_refused(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as error:
        configure(TASK, overrides)
    assert said in str(error.value)


def test_the_experiment_trains_all_kinds_from_the_evaluated_starts() -> None:
    experiment = load([REPOSITORY / "experiments" / "lift_objects.yaml"])
    cfg = configure(TASK, experiment.variants[0].task_cfg)
    assert min(getattr(cfg, f"{kind}_share") for kind in KINDS) == 1.0
    assert base.differs(TASK, cfg)


def test_the_policies_of_one_object_have_the_numbers_of_the_policy_for_all() -> None:
    one_for_all = load([REPOSITORY / "experiments" / "lift_objects.yaml"]).variants[0].task_cfg
    one_for_each = load([REPOSITORY / "experiments" / "lift_one_object.yaml"]).variants
    assert [variant.name for variant in one_for_each] == list(KINDS)
    for variant in one_for_each:
        others = {f"{kind}_share": 0 for kind in KINDS if kind != variant.name}
        assert variant.task_cfg == {**one_for_all, **others}


def test_a_picture_shows_the_object_of_the_episode_and_hides_the_others() -> None:
    pictures = Pictures(TASK, CFG)
    for command in draw(20).command:
        pictures.adapt(command)
        kind, size = KINDS[int(command[3])], float(command[4])
        for name, shape in SHAPES.items():
            for geom, part in zip(geom_names(name), shape.parts, strict=True):
                scale = size if name == kind else 1e-3
                np.testing.assert_allclose(pictures._model.geom(geom).size, scale * np.array(part.size), rtol=1e-5)


def test_environments_go_on_exactly_where_their_state_was_taken() -> None:
    options = {"num_envs": 12, "threads": 1, "task_cfg": {"episode_length_s": 0.1, "grasp_start_share": 1.0, **RANDOM}}
    one, other = (make_env("mujoco", "lift_objects", seed=seed, **options) for seed in (1, 2))  # type: ignore[arg-type]
    for _ in range(7):
        one.step(torch.full((12, 8), -0.5))
    other.load_state_dict(one.state_dict())
    for _ in range(7):
        here, there = (env.step(torch.full((12, 8), -0.5)) for env in (one, other))
        assert torch.equal(here[0]["policy"], there[0]["policy"]) and torch.equal(here[1], there[1])
