"""What a job would refuse, the check refuses, in one sentence."""

from pathlib import Path

import pytest
import yaml

from helpers import file_task
from helpers.verbs import verb
from manyseeds.config import resolve
from manyseeds.core.errors import UserError
from manyseeds.workflow import rehearsal
from manyseeds.workflow.content import examine
from manyseeds.workflow.resources import memory_mb, needed_mb

main = verb("config")


OURS = "manyseeds.learning.ppo:PPO"
FIELDS = {
    "experiment": "tiny",
    "seeds": [1],
    "train": {"num_envs": 16, "max_iterations": 4, "save_interval": 2},
    "agent": "generic_policy.json",
    "evaluate": {"episodes": 8},
}


def check(**changes) -> None:
    examine(resolve(FIELDS | changes, "my.yaml"), "my.yaml")


def agent(**overrides) -> dict:
    return {"agent": {"file": "generic_policy.json", "overrides": overrides}}


def test_what_trains_passes():
    check()
    check(**agent(**{"algorithm.class_name": OURS, "policy.actor_hidden_dims": [8]}))
    # Such a run diverges, and says so itself.
    check(**agent(**{"algorithm.learning_rate": 1e30, "algorithm.schedule": "fixed"}))


def ours(**overrides) -> dict:
    return agent(**{"algorithm.class_name": OURS} | overrides)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (ours(**{"algorithm.optimizer": "sgd"}), ["variant default", "agent generic_policy.json", "adam"]),
        (ours(**{"policy.noise_std_type": "log"}), ["variant default", "scalar"]),
        (ours(**{"policy.activation": "relu"}), ["variant default", "agent generic_policy.json"]),
        (
            ours(**{"algorithm.normalize_advantage_per_mini_batch": True}),
            ["variant default", "normalize_advantage_per_mini_batch is true"],
        ),
        (ours(**{"algorithm.init_std": [0.5]}), ["variant default"]),
        (agent(**{"algorithm.num_mini_batches": 10000}), ["num_mini_batches is 10000; it must be at most", ", 384."]),
        (
            {"task": "reach"} | agent(**{"algorithm.mirror_augmentation": True}),
            ["variant default", "mirror_augmentation is true; it must be false, because the task reach has no mirror"],
        ),
        (agent(num_steps_per_env=10**9), ["needs about", "this machine has", "fewer num_envs"]),
        (agent(num_steps_per_env=10**400), ["must be less than"]),
        (agent(**{"policy.actor_hidden_dims": [10**9]}), ["actor_hidden_dims", "from 1 to 100000"]),
        (agent(**{"policy.actor_hidden_dims": [10**5] * 4}), ["needs about", "MB of memory"]),
        ({"train": FIELDS["train"] | {"num_envs": 10**9}}, ["needs about", "fewer num_envs"]),
        (
            {"train": FIELDS["train"] | {"max_iterations": 10**11, "save_interval": 10**7}},
            ["take about", "GB are free"],
        ),
        (
            {"task": {"name": "lift_object", "overrides": {"physics_dt": 1e-300}}},
            ["an episode must have at most 1000000"],
        ),
        ({"task": {"name": "lift_object", "overrides": {"episode_length_s": 1e29}}}, ["an episode must have at most"]),
        ({"task": {"name": "lift_object", "overrides": {"episode_length_s": 1e300}}}, ["less than 1e+30"]),
        ({"evaluate": {"overrides": {"action_scale": 0.1}}}, ["evaluate.overrides", "what an action does"]),
        ({"evaluate": {"overrides": {"decimation": 3}}}, ["evaluate.overrides", "how long it lasts"]),
        (
            {"evaluate": {"factors": {"objekt_z": [1]}}},
            ["my.yaml: variant default: evaluate.factors: unknown key 'objekt_z' (did you mean object_z?)"],
        ),
        (
            {"evaluate": {"factors": {"success_distance": [0.1, -1]}}},
            ["my.yaml: variant default: evaluate.factors: 'success_distance' is -1.0; it must be greater than 0"],
        ),
        (
            {"evaluate": {"factors": {"object_x": [0.4, 0.6]}}},
            [
                "my.yaml: evaluate.factors.object_x is [0.4, 0.6]; each of its values must be a list of 2",
                "[[0.4, 0.6]]",
            ],
        ),
        (
            {"evaluate": {"factors": {"object_x": [[0.6, 0.4]]}}},
            ["evaluate.factors: 'object_x' is [0.6, 0.4]; the first number must not exceed the second"],
        ),
    ],
)
def test_what_a_job_would_refuse_is_refused_in_one_sentence(changes, words):
    with pytest.raises(UserError) as caught:
        check(**changes)
    assert len(str(caught.value).splitlines()) == 1
    for word in words:
        assert word in str(caught.value)


def test_a_simulator_that_randomizes_nothing_refuses_what_would_not_happen():
    with pytest.raises(UserError, match=r"evaluate\.factors makes episodes differ in what the simulator isaaclab does"):
        check(simulator="isaaclab", evaluate={"factors": {"action_delay": [[1, 1]]}})
    with pytest.raises(UserError, match=r"task overrides makes episodes differ in what the simulator isaaclab does"):
        check(simulator="isaaclab", task={"name": "lift_object", "overrides": {"object_mass_scale": [1, 2]}})
    with pytest.raises(UserError, match=r"lift_objects have objects of their own, which the simulator isaaclab"):
        check(simulator="isaaclab", task="lift_objects")


def test_factors_may_change_what_a_policy_has_learned():
    check(evaluate={"factors": {"action_scale": [0.4], "decimation": [3], "object_x": [[0.3, 0.7]]}})


def test_too_many_episodes_are_refused():
    with pytest.raises(UserError, match=r"evaluate\.episodes is 1000000000; it must be a whole number of"):
        check(evaluate={"episodes": 10**9})


WHOLE = Path(file_task.__file__).read_text()
TASK_AGENT = {"file": "generic_policy.json", "overrides": {"policy.actor_hidden_dims": [8]}}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('{"goal_x": draws[:, 0]}', "{}", "task push: start gives no column; its description has goal_x, too."),
        ('"gap": gap[-1], ', "", "task push: judge gives pushed, first_s; its description has gap, too."),
        ('name="push"', 'name="lift_object"', "TASK.name is 'lift_object', which is the name of an installed task"),
        ('name="push"', 'name="a b/c"', "TASK.name is 'a b/c'; it must be a name of letters"),
    ],
)
def test_a_mistake_in_a_tasks_file_is_found(tmp_path, old, new, sentence):
    assert old in WHOLE
    (file := tmp_path / "my_task.py").write_text(WHOLE.replace(old, new))
    with pytest.raises(UserError) as caught:
        check(task=str(file), agent=TASK_AGENT)
    assert sentence in str(caught.value)


LATE = """
import dataclasses

_calls = []


def _late(cfg, s):
    _calls.append(1)
    if len(_calls) > 5:
        raise KeyError('late')
    return s.qpos[:, 0]


TASK = dataclasses.replace(TASK, rewards={**TASK.rewards, next(iter(TASK.rewards)): Term(_late)})
"""


def test_an_error_that_a_term_raises_after_the_first_step_has_the_files_line(tmp_path):
    (file := tmp_path / "my_task.py").write_text(WHOLE + LATE)
    line = file.read_text().splitlines().index("        raise KeyError('late')") + 1
    with pytest.raises(UserError, match=rf"my_task\.py, line {line}: KeyError: 'late'"):
        check(task=str(file), agent=TASK_AGENT)


def test_an_interpreter_that_is_not_there_is_refused_by_the_check(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(FIELDS | {"python": {"mujoco": "/no/such/python"}}))
    assert main([str(path)]) == 2
    assert "python.mujoco is /no/such/python, which is not a program" in capsys.readouterr().err


def test_on_a_cluster_memory_is_compared_with_what_jobs_ask_for():
    wide = agent(**{"policy.actor_hidden_dims": [20000, 20000]})
    with pytest.raises(UserError, match=r"a job asks the cluster for 2,016 MB"):
        examine(resolve(FIELDS | wide), "my.yaml", cluster=True)


def test_what_jobs_ask_for_is_enough_for_the_default():
    assert needed_mb(512, 512 * 24, 3072, 36, 8, 300_000) < memory_mb(512)


def test_equal_shapes_are_tried_once(monkeypatch):
    tried = []
    monkeypatch.setattr(rehearsal, "_try", lambda *arguments: tried.append(arguments))
    variants = {"a": {"agent": {"overrides": {"algorithm.gamma": [0.9, 0.95, 0.99]}}}, "b": {"train": {"num_envs": 8}}}
    check(variants=variants)
    assert len(tried) == 1
    check(variants={"a": None, "b": {"agent": {"overrides": {"policy.actor_hidden_dims": [[16]]}}}})
    assert len(tried) == 3
