"""The same configuration and seed give the same bytes, whatever else differs."""

import pytest
import torch
from torch import nn

from helpers.kills import fingerprint
from helpers.training_runs import agent, start_elsewhere, train
from manyseeds.learning.parallel import CHUNK, elu, parallelize, thread_map

STOCK_PPO = "rsl_rl.algorithms:PPO"
# Mini-batches of more rows than a chunk has, so that threads share the work.
OPTIONS = {"num_envs": 160, "max_iterations": 3, "state_interval": 3}


@pytest.mark.parametrize("algorithm", ["PPO", STOCK_PPO])
def test_threads_processes_and_neighbors_change_no_bit(tmp_path, algorithm):
    config = agent(class_name=algorithm)
    neighbors = [start_elsewhere(tmp_path / f"{n}_threads", config, threads=n, **OPTIONS) for n in (2, 3)]
    assert train(tmp_path / "1_thread", config, **OPTIONS) == 0
    for process in neighbors:
        process.join()
        assert process.exitcode == 0
    wanted = fingerprint(tmp_path / "1_thread")
    assert wanted["checkpoints"].keys() == {"model_2.pt", "model_3.pt"}
    assert wanted["iterations"] == [1, 2, 3]
    for n in (2, 3):
        assert fingerprint(tmp_path / f"{n}_threads") == wanted


def test_another_seed_gives_another_policy(tmp_path):
    for seed in (1, 2):
        assert train(tmp_path / str(seed), max_iterations=1, seed=seed) == 0
    first, second = (fingerprint(tmp_path / str(seed))["checkpoints"] for seed in (1, 2))
    assert first["model_1.pt"] != second["model_1.pt"]


def test_chunked_networks_compute_what_plain_ones_do():
    torch.manual_seed(0)
    mlp = nn.Sequential(nn.Linear(5, 16), nn.ELU(), nn.Linear(16, 3))
    rows = torch.randn(2 * CHUNK + 7, 5)

    def outcome():
        mlp.zero_grad()
        output = mlp(rows)
        output.square().mean().backward()
        return [output.detach(), *(parameter.grad.clone() for parameter in mlp.parameters())]

    plain = outcome()
    by_threads = []
    for threads in (1, 3):
        parallelize(mlp, thread_map(threads))
        with torch.no_grad():  # takes another way to ELU
            acted = mlp(rows)
        by_threads.append([acted, *outcome()])
    for expected, one, three in zip([plain[0], *plain], *by_threads, strict=True):
        torch.testing.assert_close(one, expected)
        assert torch.equal(one, three)


def test_elu_is_torchs():
    x = torch.cat((torch.linspace(-30, 30, 10_001), torch.tensor([0.0, -0.0, -1e-8, 1e38, torch.inf, -torch.inf])))
    torch.testing.assert_close(elu(x), nn.functional.elu(x), atol=6e-8, rtol=0)
    torch.testing.assert_close(elu(x.bfloat16()), nn.functional.elu(x.bfloat16()))
    assert elu(torch.tensor([torch.nan])).isnan().all()


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("items", [0, 1, 2, 30])
def test_results_of_threads_come_in_the_items_order(threads, items):
    run = thread_map(threads)
    assert run(lambda i: i * i, range(items)) == [i * i for i in range(items)]


def test_a_mistake_in_any_thread_is_raised_and_the_next_call_works():
    run = thread_map(3)
    for bad in range(4):
        with pytest.raises(ZeroDivisionError):
            run(lambda i, bad=bad: 1 / (i - bad), range(4))
    assert run(abs, [-1, -2, -3]) == [1, 2, 3]
