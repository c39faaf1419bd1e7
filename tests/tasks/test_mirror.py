"""Tasks with a mirror: what they do in a mirror is the mirror image of what they do."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from manyseeds.core.errors import UserError
from manyseeds.simulators import make_env
from manyseeds.tasks import registry
from manyseeds.tasks.base import Starts, State, Term, check_terms, mirrored, signs, unchanged


def arm(qpos: Tensor) -> Tensor:
    """Mirror the arm's coordinates, (n, 9)."""
    image = qpos[:, [0, 1, 2, 3, 4, 5, 6, 8, 7]] * torch.tensor([-1, 1, -1, 1, -1, 1, -1, 1, 1])
    image[:, 6] += torch.pi / 2
    return image


def free_body(pose: Tensor) -> Tensor:
    """Mirror a position and a quaternion w x y z, (n, 7), of a body that is the same on both sides."""
    return pose * torch.tensor([1, -1, 1, 1, -1, 1, -1])


def cart_pole(starts: Starts) -> Starts:
    return Starts(-starts.qpos, starts.command)


def lift_object(starts: Starts) -> Starts:
    flipped = torch.ones(starts.command.shape[1])
    flipped[1] = -1
    qpos = torch.cat((arm(starts.qpos[:, :9]), free_body(starts.qpos[:, 9:])), dim=1)
    return Starts(qpos, starts.command * flipped)


def walk(starts: Starts) -> Starts:
    legs = starts.qpos[:, 7:].unflatten(1, (4, 3))[:, [1, 0, 3, 2]] * torch.tensor([-1, 1, 1])
    qpos = torch.cat((free_body(starts.qpos[:, :7]), legs.flatten(1)), dim=1)
    return Starts(qpos, starts.command * torch.tensor([1, -1, -1]))


# The links of the arm and of the legs are not quite the same on both sides, and contacts make differences grow.
@pytest.mark.parametrize(
    ("name", "image", "steps", "tolerance"),
    [
        ("cart_pole", cart_pole, 25, 1e-5),
        ("lift_object", lift_object, 25, 2e-2),
        ("lift_objects", lift_object, 25, 2e-2),
        ("walk", walk, 12, 2e-2),
    ],
)
def test_an_episode_in_a_mirror_is_the_mirror_image_with_the_same_rewards(
    name: str, image: Any, steps: int, tolerance: float
) -> None:
    task = registry.load(name)
    generator = torch.Generator().manual_seed(3)
    n = 8
    envs = [make_env("mujoco", name, num_envs=n, seed=1, threads=1) for _ in range(2)]
    starts = task.start(envs[0].task_cfg, n, generator)
    envs[0].reset_to(starts, 5)
    envs[1].reset_to(image(starts), 5)
    actions = torch.zeros(n, task.action_width)
    moved = envs[0].get_observations()["policy"]
    for _ in range(steps):
        actions = 0.9 * actions + 0.3 * torch.randn(actions.shape, generator=generator)
        assert task.mirror is not None
        seen, rewards, _, _ = envs[0].step(actions)
        seen_there, rewards_there, _, _ = envs[1].step(task.mirror(envs[1].task_cfg, actions))
        images = mirrored(task, envs[0].task_cfg, seen["policy"])
        torch.testing.assert_close(seen_there["policy"], images, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(rewards_there, rewards, atol=tolerance, rtol=tolerance)
    assert (seen["policy"] - moved).abs().max() > 0.1, "nothing moved"
    assert (seen["policy"] - images).abs().max() > 0.1, "the images are the originals"


@pytest.mark.parametrize("name", ["cart_pole", "lift_object", "lift_objects", "walk"])
def test_training_starts_lie_on_both_sides_alike(name: str) -> None:
    task = registry.load(name)
    cfg = task.cfg()
    starts = (task.train_start or task.start)(cfg, 4000, torch.Generator().manual_seed(1))
    qpos = starts.qpos.float()
    sides = {"cart_pole": [0, 1], "lift_object": [0, 10], "lift_objects": [0, 10], "walk": [1]}[name]
    for column in sides:
        assert qpos[:, column].mean().abs() < 0.06 * (1 + qpos[:, column].std())
    if name != "cart_pole":
        assert starts.command[:, 1].mean().abs() < 0.06


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mirror": lambda cfg, x: x + 1}, "the mirror of action is wrong: applied twice, it must change nothing"),
        ({"mirror": lambda cfg, x: x[..., :0]}, "the mirror of action is wrong"),
        (
            {"observations": {"joint_pos": Term(lambda cfg, s: s.qpos, 2, mirror=signs(-1, -1)),
                              "joint_vel": Term(lambda cfg, s: s.qvel, 2)}},
            "observation joint_vel has no mirror, but the task has one; say what it is in a mirror, or `unchanged`",
        ),
    ],
)  # fmt: skip
def test_a_mirror_that_cannot_be_right_is_refused(changes: dict[str, Any], said: str) -> None:
    task = replace(registry.load("cart_pole"), **changes)
    numbers = torch.rand(3, 2)
    state = State(
        numbers, numbers, {}, {}, numbers[:, :0], numbers[:, :1], numbers[:, :1], torch.ones(3), numbers[:, :0]
    )
    with pytest.raises(UserError) as error:
        check_terms(task, task.cfg(), state)
    assert said in str(error.value)


def test_what_is_unchanged_is_returned_and_signs_multiply() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0]])
    assert unchanged(None, x) is x
    assert signs(1, -1, 1)(None, x).tolist() == [[1.0, -2.0, 3.0]]
