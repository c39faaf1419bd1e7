"""Which checkpoints belong to a run: those that its record names."""

import pytest

from manyseeds.core.errors import UserError
from manyseeds.core.record import recorded_checkpoints, write_run_record


@pytest.fixture
def run(tmp_path):
    """A run that was made longer: its record names the checkpoints of the longer one."""
    for iteration in (2, 3, 4):
        (tmp_path / f"model_{iteration}.pt").write_bytes(b"policy")
    write_run_record(tmp_path, ["model_2.pt", "model_4.pt"], seed=1)
    return tmp_path


def test_a_checkpoint_that_the_record_does_not_name_stays_and_is_not_of_the_run(run):
    assert list(recorded_checkpoints(run)) == [2, 4]
    assert (run / "model_3.pt").exists()


def test_without_a_record_every_checkpoint_counts(run):
    (run / "run.json").unlink()
    assert list(recorded_checkpoints(run)) == [2, 3, 4]


def test_a_deleted_checkpoint_is_named_with_the_way_out(run):
    (run / "model_4.pt").unlink()
    with pytest.raises(UserError, match=r"model_4\.pt is missing, which run\.json names; remove .* and train the run"):
        recorded_checkpoints(run)


def test_a_folder_without_checkpoints_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"holds no checkpoint model_<iteration>\.pt"):
        recorded_checkpoints(tmp_path)
