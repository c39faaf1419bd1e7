"""Agent files: both layouts, complete configurations, and one sentence for every error."""

import json

import pytest

from manyseeds.core.errors import UserError
from manyseeds.core.files import read_object
from manyseeds.learning.agent import DEFAULT_AGENT, OUR_PPO, STOCK_PPO, load_agent, resolve_agent

POLICY = {"algorithm": {}, "policy": {}}


def test_the_default_agent_has_the_hyper_parameters_of_the_policy_training_guide():
    agent = load_agent(DEFAULT_AGENT)
    documented = {
        "class_name": OUR_PPO, "num_learning_epochs": 5, "num_mini_batches": 4, "learning_rate": 0.001,
        "gamma": 0.99, "lam": 0.95, "clip_param": 0.2,
    }  # fmt: skip
    assert documented.items() <= agent["algorithm"].items()
    assert read_object(DEFAULT_AGENT, "")["algorithm"]["class_name"] == "PPO"
    assert agent["num_steps_per_env"] == 24
    for role in ("actor", "critic"):
        assert (agent[role]["activation"], agent[role]["hidden_dims"]) == ("elu", [256, 256, 256])


def test_both_layouts_give_the_same_configuration():
    document = {
        "algorithm": {"entropy_coef": 0.006},
        "policy": {"actor_hidden_dims": [64], "critic_hidden_dims": [32], "init_noise_std": 0.5},
    }
    own = {
        "algorithm": {"entropy_coef": 0.006},
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {
            "hidden_dims": [64],
            "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5},
        },
        "critic": {"class_name": "MLPModel", "hidden_dims": [32]},
    }
    assert resolve_agent(document) == resolve_agent(own)


def test_a_resolved_configuration_resolves_to_itself():
    agent = load_agent(DEFAULT_AGENT)
    assert resolve_agent(agent) == agent


def test_our_own_ppo_takes_rsl_rls_keys_and_its_own():
    algorithm = {"class_name": "manyseeds.learning.ppo:PPO", "gamma": 0.9, "entropy_coef_final": 0.001}
    agent = resolve_agent({"algorithm": algorithm, "policy": {}})["algorithm"]
    assert (agent["gamma"], agent["entropy_coef_final"], agent["lam"]) == (0.9, 0.001, 0.95)
    with pytest.raises(UserError, match="unknown key 'entropy_coef_last'; did you mean 'entropy_coef"):
        resolve_agent({"algorithm": {**algorithm, "entropy_coef_last": 0.1}, "policy": {}})


def test_ppo_is_ours_and_rsl_rls_has_its_full_name():
    for named in ({}, {"class_name": "PPO"}):
        assert resolve_agent({"algorithm": named, "policy": {}})["algorithm"]["class_name"] == OUR_PPO
    stock = resolve_agent({"algorithm": {"class_name": STOCK_PPO}, "policy": {}})["algorithm"]
    assert stock["class_name"] == STOCK_PPO == "rsl_rl.algorithms:PPO" and "ema_decay" not in stock


@pytest.mark.parametrize(
    ("algorithm", "policy", "words"),
    [
        ({"optimizer": "sgd"}, {}, "algorithm.optimizer is 'sgd'; manyseeds' PPO needs 'adam'"),
        ({"normalize_advantage_per_mini_batch": True}, {}, "per_mini_batch is true; manyseeds' PPO needs false"),
        ({}, {"activation": "relu"}, "actor.activation is 'relu'; manyseeds' PPO needs 'elu'"),
        ({}, {"noise_std_type": "log"}, "actor.distribution_cfg.std_type is 'log'; manyseeds' PPO needs 'scalar'"),
    ],
)
def test_what_our_ppo_cannot_compute_is_refused_with_the_way_out(algorithm, policy, words):
    agent = {"algorithm": algorithm, "policy": policy}
    with pytest.raises(UserError) as error:
        resolve_agent(agent, "agent file a.json")
    assert str(error.value).startswith("agent file a.json: ") and words in str(error.value)
    assert f"set algorithm.class_name to '{STOCK_PPO}'" in str(error.value)
    agent["algorithm"] = {**algorithm, "class_name": STOCK_PPO}
    assert resolve_agent(agent)["algorithm"]["class_name"] == STOCK_PPO


def test_a_noise_that_does_not_learn_is_refused_by_our_ppo():
    actor = {"distribution_cfg": {"class_name": "GaussianDistribution", "learn_std": False}}
    with pytest.raises(UserError, match="learn_std is false; manyseeds' PPO needs true"):
        resolve_agent({"algorithm": {}, "actor": actor, "critic": {}})


def test_arenas_own_names_of_sections_and_observation_groups_are_read():
    """The keys of isaaclab_arena/policy/rl_policy/generic_policy.json in Isaac Lab Arena 0.1."""
    policy = {"init_noise_std": 1.0, "actor_hidden_dims": [256, 128, 64], "critic_hidden_dims": [256, 128, 64]}
    algorithm = {"learning_rate": 1e-4, "gamma": 0.98, "entropy_coef": 0.006}
    groups = {"policy": ["policy", "task_obs"], "critic": ["policy", "task_obs"]}
    arenas = {"policy_cfg": policy, "algorithm_cfg": algorithm, "obs_groups": groups}
    assert resolve_agent(arenas) == resolve_agent({"policy": policy, "algorithm": algorithm})
    with pytest.raises(UserError, match="has both 'policy_cfg' and 'policy', which mean the same"):
        resolve_agent(arenas | {"policy": policy})


@pytest.mark.parametrize(
    ("section", "content", "words"),
    [
        ("algorithm", {"learning_rat": 1}, "unknown key 'learning_rat'; did you mean 'learning_rate'"),
        ("algorithm", {"learning_rate": "fast"}, 'learning_rate is "fast"; it must be a number'),
        ("algorithm", {"learning_rate": 0}, "learning_rate is 0; it must be a finite number greater than 0"),
        ("algorithm", {"learning_rate": float("nan")}, "learning_rate is nan"),
        ("algorithm", {"gamma": 1.5}, "gamma is 1.5; it must be at least 0 and at most 1"),
        ("algorithm", {"num_mini_batches": 2.5}, "num_mini_batches is 2.5; it must be a whole number"),
        ("algorithm", {"num_learning_epochs": 0}, "num_learning_epochs is 0; it must be at least 1"),
        ("algorithm", {"num_learning_epochs": True}, "num_learning_epochs is true; it must be a whole number"),
        ("algorithm", {"schedule": "cosine"}, "schedule is 'cosine'; it must be adaptive or fixed"),
        ("algorithm", {"optimizer": "lion"}, "optimizer is 'lion'; Valid optimizers are"),
        ("algorithm", {"class_name": "SAC"}, "class_name is 'SAC'; it must be a class of RSL-RL"),
        ("algorithm", {"class_name": "os:system"}, "class_name is 'os:system'; it must be PPO or a subclass"),
        ("algorithm", {"rnd_cfg": {"weight": 1}}, "rnd_cfg must be null: it is not supported"),
        ("algorithm", [], r"algorithm is \[\]; it must be an object"),
        ("policy", {"actor_hidden_dims": []}, "actor_hidden_dims is .*at least one layer width"),
        ("policy", {"actor_hidden_dims": [64, 0]}, "actor_hidden_dims is .*at least one layer width"),
        ("policy", {"actor_hidden_dims": 64}, "actor_hidden_dims is 64; it must be a list of whole numbers"),
        ("policy", {"activation": "sine"}, "activation is 'sine'; Valid activations are"),
        ("policy", {"class_name": "ActorCriticRecurrent"}, "it must be ActorCritic"),
        ("obs_groups", {"actor": ["camera"]}, "obs_groups.actor is .*the task's only group"),
        ("num_steps_per_env", 0, "num_steps_per_env is 0; it must be at least 1"),
        ("batch_size", 5, "unknown key 'batch_size'"),
    ],
)
def test_errors_in_an_agent_name_key_value_and_what_is_allowed(section, content, words):
    with pytest.raises(UserError, match=words):
        resolve_agent({**POLICY, section: content}, "agent file a.json")


@pytest.mark.parametrize("missing", ["algorithm", "policy"])
def test_a_missing_section_is_named(missing):
    with pytest.raises(UserError, match="is missing; a file has algorithm, actor and critic"):
        resolve_agent({key: value for key, value in POLICY.items() if key != missing})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must hold a JSON object"),
        ('{"algorithm": {"gamma": 1, "gamma": 0.5}, "policy": {}}', "the key 'gamma' appears twice"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_a_malformed_file_is_named(tmp_path, text, words):
    path = tmp_path / "agent.json"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"agent.json.*{words}"):
        load_agent(path)


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "agent.json"
    path.write_bytes(json.dumps(POLICY).encode("utf-16"))
    with pytest.raises(UserError, match="is not UTF-8 text"):
        load_agent(path)
