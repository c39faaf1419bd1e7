"""A run's folder: the order of its files, resumes, restarts, and folders that are not logs."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from torch.utils.tensorboard import SummaryWriter

from helpers.event_files import START, curve, flip, restart, scalar, write_events
from manyseeds.core.errors import UserError
from manyseeds.eventfiles.log import RunLog, read_log


def series(log: RunLog, tag: str) -> dict[int, float]:
    rows = log.tag == log.tags.index(tag)
    assert len(set(log.step[rows].tolist())) == rows.sum()
    return dict(zip(log.step[rows].tolist(), log.value[rows].tolist(), strict=True))


def write(folder, name, events, wall_time=START):
    return write_events(folder / f"events.out.tfevents.{name}", events, wall_time)


def test_more_than_ten_thousand_points_are_all_kept(tmp_path):
    """TensorBoard's reader keeps a random 10,000 of them by default."""
    values = {step: float(step) for step in range(10_500)}
    write(tmp_path, "1", curve(values))
    stock = EventAccumulator(str(tmp_path))
    stock.Reload()
    assert len(stock.Scalars("Loss/value")) == 10_000
    assert series(read_log(tmp_path), "Loss/value") == values


def test_the_values_are_those_that_tensorboards_reader_gives(tmp_path):
    writer = SummaryWriter(str(tmp_path))
    for step in range(50):
        for tag in ("Loss/value", "Train/mean_reward", 'Metrics/a,"b"', "Metrics/größe"):
            value = [np.nan, np.inf, -0.0, 1e-45, step / 3][step % 5]
            writer.add_scalar(tag, value, step, new_style=step % 2 == 1, double_precision=step % 4 == 3)
    writer.close()
    stock = EventAccumulator(str(tmp_path), {"scalars": 0, "tensors": 0})
    stock.Reload()
    log = read_log(tmp_path)
    for tag in stock.Tags()["scalars"]:
        expected = {event.step: event.value for event in stock.Scalars(tag)}
        for event in stock.Tensors(tag) if tag in stock.Tags()["tensors"] else []:
            expected[event.step] = float(np.asarray(event.tensor_proto.float_val or event.tensor_proto.double_val)[0])
        found = series(log, tag)
        # Stock readers classify a tag as scalar or tensor by its first event; here both encodings count.
        assert set(expected) <= set(found) and len(found) == 50
        for step, value in expected.items():
            np.testing.assert_array_equal(np.float32(value), np.float32(found[step]))


def test_texts_histograms_images_and_hparams_next_to_scalars_are_ignored(tmp_path):
    writer = SummaryWriter(str(tmp_path))
    writer.add_text("config", "words", 0)
    writer.add_histogram("weights", np.arange(9.0), 0)
    writer.add_image("frame", np.zeros((3, 4, 4), np.uint8), 0)
    writer.add_scalar("Loss/value", 1.5, 0)
    writer.add_hparams({"gamma": 0.99}, {"hparam/reward": 1.0}, run_name="nested")
    writer.close()
    assert read_log(tmp_path).tags == ["Loss/value"]


def test_a_resumed_run_takes_the_later_files_rows_from_its_first_iteration_on(tmp_path):
    write(tmp_path, "1", curve(dict.fromkeys(range(1, 101), 1.0)), START)
    write(tmp_path, "2", curve(dict.fromkeys(range(50, 121), 2.0)), START + 9)
    log = read_log(tmp_path)
    assert series(log, "Loss/value") == {i: 1.0 if i < 50 else 2.0 for i in range(1, 121)}
    assert [file.rows_cut for file in log.files] == [51, 0]
    assert [file.scalars_cut for file in log.files] == [51, 0]


def test_a_resume_cuts_what_the_earlier_file_has_beyond_the_later_files_end(tmp_path):
    """Rows of two histories in one curve would be a zigzag."""
    write(tmp_path, "1", curve(dict.fromkeys(range(100), 1.0)) + curve({99: 0.0}, "Train/mean_reward"))
    write(tmp_path, "2", curve(dict.fromkeys(range(50, 60), 2.0)), START + 9)
    log = read_log(tmp_path)
    assert max(series(log, "Loss/value")) == 59
    assert series(log, "Train/mean_reward") == {}


def test_a_run_resumed_twice(tmp_path):
    for name, first in enumerate((0, 50, 30)):
        write(tmp_path, str(name), curve({i: float(name) for i in range(first, 100)}), START + name)
    log = read_log(tmp_path)
    assert series(log, "Loss/value") == {i: 0.0 if i < 30 else 2.0 for i in range(100)}
    assert [file.rows_cut for file in log.files] == [70, 50, 0]


def test_the_first_wall_time_orders_files_not_their_names(tmp_path):
    write(tmp_path, "2", curve(dict.fromkeys(range(10), 1.0)), START)
    write(tmp_path, "10", curve(dict.fromkeys(range(5, 10), 2.0)), START + 9)
    log = read_log(tmp_path)
    assert [file.name.rsplit(".", 1)[1] for file in log.files] == ["2", "10"]
    assert series(log, "Loss/value")[9] == 2.0


def test_a_file_of_another_writer_with_other_tags_cuts_nothing(tmp_path):
    write(tmp_path, "1", curve(dict.fromkeys(range(10), 1.0)), START)
    write(tmp_path, "2", curve({0: 0.5}, "Eval/success"), START + 9)
    log = read_log(tmp_path)
    assert len(series(log, "Loss/value")) == 10
    assert series(log, "Eval/success") == {0: 0.5}


def test_purge_step_cuts_all_that_came_before(tmp_path):
    first = SummaryWriter(str(tmp_path), filename_suffix=".a")
    for step in range(10):
        first.add_scalar("Loss/value", 1.0, step)
    first.close()
    second = SummaryWriter(str(tmp_path), purge_step=4, filename_suffix=".b")
    second.add_scalar("Loss/value", 2.0, 6)
    second.close()
    log = read_log(tmp_path)
    assert series(log, "Loss/value") == {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0, 6: 2.0}


def test_a_restart_within_a_file_cuts_what_is_before_it(tmp_path):
    write(tmp_path, "1", [*curve({1: 1.0, 2: 1.0, 3: 1.0}), restart(2), scalar("Loss/value", 3, 2.0)])
    log = read_log(tmp_path)
    assert series(log, "Loss/value") == {1: 1.0, 3: 2.0}
    assert log.files[0].rows_cut == 1


def test_a_repeated_step_within_a_file_cuts_its_tag_back_to_it(tmp_path):
    events = curve(dict.fromkeys(range(10), 1.0)) + curve({5: 2.0, 6: 2.0})
    write(tmp_path, "1", [*events, *curve({9: 1.0}, "Other")])
    log = read_log(tmp_path)
    assert series(log, "Loss/value") == {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 2.0, 6: 2.0}
    assert series(log, "Other") == {9: 1.0}
    assert log.files[0].scalars_cut == 5


def test_steps_out_of_order_are_all_kept_when_none_is_repeated(tmp_path):
    write(tmp_path, "1", [scalar("a", step, float(k)) for k, step in enumerate((5, 2**40, -1, 0))])
    assert series(read_log(tmp_path), "a") == {5: 0.0, 2**40: 1.0, -1: 2.0, 0: 3.0}


def test_a_repeated_step_is_replaced_when_steps_are_out_of_order(tmp_path):
    write(tmp_path, "1", [scalar("a", step, float(k)) for k, step in enumerate((2**40, -1, 2**40))])
    assert series(read_log(tmp_path), "a") == {-1: 1.0, 2**40: 2.0}


def test_clock_scalars_are_left_out_and_counted(tmp_path):
    """Their steps are seconds: they would make extra rows and look like the start of a resume."""
    clock = [scalar("Train/mean_reward/time", 17, float(i)) for i in range(5)]
    write(tmp_path, "1", clock + curve({1: 1.0, 20: 1.0}))
    log = read_log(tmp_path)
    assert series(log, "Loss/value") == {1: 1.0, 20: 1.0}
    assert (len(log.step), log.files[0].clock_scalars) == (2, 5)


def test_tags_of_older_releases_become_todays_even_within_one_run(tmp_path):
    old = ("Loss/value_function", "Policy/mean_noise_std", "Perf/collection time", "Perf/learning_time")
    new = ("Loss/value", "Policy/mean_std", "Perf/collection_time", "Perf/learning_time")
    write(tmp_path, "1", [scalar(tag, step, 1.0) for step in range(4) for tag in old])
    write(tmp_path, "2", [scalar(tag, step, 2.0) for step in range(2, 6) for tag in new], START + 9)
    log = read_log(tmp_path)
    for tag in new:
        assert series(log, tag) == {0: 1.0, 1: 1.0, 2: 2.0, 3: 2.0, 4: 2.0, 5: 2.0}


def test_nested_runs_are_not_merged(tmp_path):
    write(tmp_path, "1", curve({1: 1.0}))
    write(tmp_path / "nested", "2", curve({1: 9.0, 2: 9.0}))
    assert series(read_log(tmp_path), "Loss/value") == {1: 1.0}


def test_a_folder_with_only_nested_runs_says_where_they_are(tmp_path):
    write(tmp_path / "a" / "b", "1", curve({1: 1.0}))
    with pytest.raises(UserError, match=r"no event file .* there are some in .*a/b"):
        read_log(tmp_path)


def test_one_file_can_be_named(tmp_path):
    write(tmp_path, "1", curve({1: 1.0}))
    write(tmp_path, "2", curve({1: 2.0}))
    assert series(read_log(tmp_path / "events.out.tfevents.2"), "Loss/value") == {1: 2.0}


def test_an_empty_file_next_to_a_full_one_is_counted_and_harmless(tmp_path):
    write(tmp_path, "1", curve({1: 1.0}))
    (tmp_path / "events.out.tfevents.2").touch()
    log = read_log(tmp_path)
    assert len(log.step) == 1
    assert sorted(file.size for file in log.files)[0] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (None, "holds no scalars"), (b"iteration,Loss/value\n" * 20, "not an event file")],
)
def test_a_file_without_scalars_is_an_error_that_names_it(tmp_path, content, message):
    write(tmp_path, "1", [])
    if content is not None:
        (tmp_path / "events.out.tfevents.1").write_bytes(content)
    with pytest.raises(UserError, match=rf"(?s){message}|tfevents.1.*{message}") as error:
        read_log(tmp_path, allow_corrupt=True)
    assert "events.out.tfevents.1" in str(error.value)


def test_a_file_of_records_that_are_not_events_is_not_an_event_file(tmp_path):
    for message in (event_pb2.Event(step=3), summary_pb2.Summary.Value(tag="a", simple_value=1.0)):
        write_events(tmp_path / "tfevents", [message], None)
        with pytest.raises(UserError, match="not an event file"):
            read_log(tmp_path)


def test_a_log_without_a_clock_is_read(tmp_path):
    """A writer that must give the same bytes each time may leave the wall time at zero."""
    write_events(tmp_path / "tfevents", [scalar("a", 1, 2.0, wall_time=0.0)], wall_time=0.0)
    assert series(read_log(tmp_path), "a") == {1: 2.0}


def test_a_missing_folder_and_one_without_event_files_are_errors(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=str(folder)):
            read_log(folder)


@pytest.mark.parametrize(("within", "kind"), [(14, "corrupt"), (1, "unreadable")])
def test_corruption_in_the_middle_is_an_error_unless_allowed(tmp_path, within, kind):
    offsets = write(tmp_path, "1", curve(dict.fromkeys(range(9), 1.0)))
    flip(tmp_path / "events.out.tfevents.1", offsets[5] + within)
    with pytest.raises(UserError, match=rf"tfevents.1: {kind} at byte {offsets[5]} .*--allow-corrupt"):
        read_log(tmp_path)
    log = read_log(tmp_path, allow_corrupt=True)
    lost = {4} if kind == "corrupt" else {4, 5, 6, 7, 8}
    assert set(series(log, "Loss/value")) == set(range(9)) - lost
    assert [damage.kind for damage in log.files[0].damage] == [kind]


def test_a_truncated_end_is_reported_but_is_not_an_error(tmp_path):
    offsets = write(tmp_path, "1", curve(dict.fromkeys(range(9), 1.0)))
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(path.read_bytes()[:-3])
    log = read_log(tmp_path)
    assert len(series(log, "Loss/value")) == 8
    (damage,) = log.files[0].damage
    assert (damage.kind, damage.offset) == ("truncated", offsets[-2])
