"""`--checkpoint` and `--init_from`: a run goes on exactly where its state is, or a new one has its networks."""

import json
import shutil
from pathlib import Path

import pytest

from helpers.kills import fingerprint
from helpers.training_runs import AGENT, OPTIONS
from helpers.verbs import verb
from manyseeds.config.settings import RunConfig
from manyseeds.core.files import sha256
from manyseeds.learning import distributed
from manyseeds.runs import command
from manyseeds.runs.command import LOGS

verify = verb("verify")
main = verb("train")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def start(*flags: str, **options: object) -> int:
    """Train the tiny agent in this folder."""
    Path("agent.json").write_text(json.dumps(AGENT))
    values = OPTIONS | {"agent_cfg_path": "agent.json", "device": "cpu"} | options
    return main(
        [*(part for name, value in values.items() for part in (f"--{name}", str(value))), *flags, "lift_object"]
    )


def folders() -> list[Path]:
    return sorted(LOGS.iterdir())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4 iterations by hand, and one of 6 that nothing disturbed."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert start(max_iterations=4) == 0
        assert start(max_iterations=6, log_dir="whole") == 0
    return place


@pytest.fixture
def short(runs: Path, tmp_path: Path) -> Path:
    """A copy of the run of 4 iterations, where runs by hand are."""
    shutil.copytree(runs / LOGS, tmp_path / LOGS)
    [folder] = folders()
    return folder


@pytest.mark.parametrize("form", ["file", "folder", "latest"])
def test_a_run_whose_state_is_there_goes_on_exactly(runs: Path, short: Path, form: str) -> None:
    place = {"file": f"{short}/model_4.pt", "folder": str(short), "latest": "latest"}[form]
    assert start("--checkpoint", place, max_iterations=6) == 0
    assert folders() == [short]
    assert fingerprint(short) == fingerprint(runs / "whole")


def test_a_run_with_other_settings_is_not_continued_and_nothing_is_moved(
    short: Path, capsys: pytest.CaptureFixture
) -> None:
    before = sorted(path.name for path in short.rglob("*"))
    assert start("--checkpoint", f"{short}/model_4.pt", seed=9) == 2
    error = capsys.readouterr().err
    assert "cannot be continued: seed was 3 and is 9; with --init_from instead of --checkpoint" in error
    assert error.count("\n") == 1 and sorted(path.name for path in short.rglob("*")) == before


def test_an_earlier_checkpoint_or_another_folder_begins_a_new_run(short: Path, capsys: pytest.CaptureFixture) -> None:
    assert start("--checkpoint", f"{short}/model_2.pt", max_iterations=1) == 0
    [new] = [folder for folder in folders() if folder != short]
    assert f"[INFO] Starting with the networks of: {short}/model_2.pt" in capsys.readouterr().out
    assert start("--checkpoint", str(short), max_iterations=1, log_dir="other") == 0
    records = [json.loads((folder / "run.json").read_text()) for folder in (new, Path("other"))]
    digests = [sha256(short / name) for name in ("model_2.pt", "model_4.pt")]
    assert [record["config"]["init_digest"] for record in records] == digests
    assert [record["init_from"] for record in records] == [f"{short}/model_2.pt", f"{short}/model_4.pt"]
    assert "init_from" not in records[0]["config"]["train"], "where the file is decides nothing"
    assert fingerprint(new)["checkpoints"] != fingerprint(Path("other"))["checkpoints"]


def test_without_its_state_a_run_cannot_be_continued_in_its_folder(short: Path, capsys: pytest.CaptureFixture) -> None:
    for state in short.glob("state*.pt"):
        state.unlink()
    assert start("--checkpoint", f"{short}/model_4.pt", log_dir=short) == 2
    assert "whose run has no state to continue from there; give another --log_dir" in capsys.readouterr().err
    assert start("--checkpoint", "latest", max_iterations=1) == 0
    assert len(folders()) == 2


def test_a_run_from_a_checkpoint_is_continued_with_or_without_the_flag_and_repeated(
    short: Path, capsys: pytest.CaptureFixture
) -> None:
    flags = ["--init_from", f"{short}/model_4.pt"]
    assert start(*flags, max_iterations=6, log_dir="whole") == 0
    assert start(*flags, max_iterations=2, log_dir="parts") == 0
    assert start(*flags, max_iterations=4, log_dir="parts") == 0
    assert start(max_iterations=6, log_dir="parts") == 0
    assert fingerprint(Path("parts")) == fingerprint(Path("whole"))
    capsys.readouterr()
    assert verify(["whole", "--repeat", "2", "--threads", "1"]) == 0
    assert "the first 2 iterations are identical" in capsys.readouterr().out
    (short / "model_4.pt").write_bytes((short / "model_2.pt").read_bytes())
    assert verify(["whole", "--repeat", "2"]) == 2
    assert "is not the file that the run is to start from" in capsys.readouterr().err


@pytest.mark.parametrize("has_state", [True, False])
def test_every_process_of_a_distributed_run_starts_from_the_same_checkpoint(
    short: Path, monkeypatch: pytest.MonkeyPatch, has_state: bool
) -> None:
    for state in short.glob("state*.pt"):
        if not has_state:
            state.unlink()
    launched: list[list[str]] = []
    monkeypatch.setattr(distributed, "launch", lambda arguments, _: launched.append(list(arguments)))
    assert start("--checkpoint", "latest", "--distributed", "--nproc_per_node", "2") == 0
    started: list[tuple[RunConfig, bool]] = []
    monkeypatch.setattr(command, "_train", lambda run, _, must_continue: started.append((run, must_continue)) or 0)
    for rank in ("0", "1"):
        for name, value in (("RANK", rank), ("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")):
            monkeypatch.setenv(name, value)
        assert main(launched[0]) == 0
    assert started[0] == started[1]
    [(run, must_continue), _] = started
    assert must_continue == has_state and (run.log_dir == short) == has_state
    assert run.train.init_from == (None if has_state else f"{short}/model_4.pt")
    assert main(["--checkpoint", "latest", "--distributed", "lift_object"]) == 2, "torchrun's processes may disagree"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--checkpoint", "latest"], "--checkpoint is latest, but logs/rsl_rl/generic_experiment holds no run"),
        (["--checkpoint", "nowhere.pt"], "checkpoint nowhere.pt cannot be read: No such file"),
        (["--init_from", "nowhere.pt"], "checkpoint nowhere.pt cannot be read: No such file"),
        (["--checkpoint", "."], "--checkpoint is ., but . holds no model_<iteration>.pt"),
        (["--checkpoint", "a.pt", "--init_from", "b.pt"], "--checkpoint and --init_from are both given"),
    ],
)
def test_a_start_that_cannot_be_is_one_sentence(flags: list[str], sentence: str, capsys: pytest.CaptureFixture) -> None:
    assert start(*flags) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and not LOGS.exists()


def test_networks_that_do_not_fit_leave_no_folder(short: Path, capsys: pytest.CaptureFixture) -> None:
    Path("wide.json").write_text(json.dumps(AGENT | {"policy": AGENT["policy"] | {"actor_hidden_dims": [16]}}))
    assert start("--init_from", f"{short}/model_4.pt", agent_cfg_path="wide.json") == 2
    assert f"{short}/model_4.pt does not fit: " in capsys.readouterr().err
    assert folders() == [short]
