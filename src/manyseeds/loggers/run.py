"""What trackers call a run, from its folder alone: of ours, of an external trainer's and of any other's."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from manyseeds.core.layout import JOURNAL, RUN_RECORD, SEED_FOLDER
from manyseeds.core.secrets import masked
from manyseeds.core.text import plain
from manyseeds.loggers.rows import first_record


@dataclass(frozen=True)
class Run:
    """A run as trackers know it.

    Attributes:
        folder: its folder.
        id: 16 hexadecimal digits, which stay the same when the run is resumed and change when it starts over.
        experiment: the project or experiment that it belongs to.
        group: its variant; "" where the folder has none.
        name: its name within the experiment.
        config: its parameters, params/*.yaml, without secrets.
    """

    folder: Path
    id: str
    experiment: str
    group: str
    name: str
    config: dict[str, Any]

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, as far as its folder says."""
        return (self.folder / RUN_RECORD).is_file() or not (self.folder / JOURNAL).is_file()


def run_in(folder: Path) -> Run:
    """Return the run in a folder.

    Raises:
        UserError: when the folder holds no event file.
    """
    place = folder.resolve()
    group = place.parent.name if SEED_FOLDER.fullmatch(place.name) else ""
    experiment, name = (place.parents[1].name, f"{group}/{place.name}") if group else (place.parent.name, place.name)
    # Two runs may begin in the same microsecond.
    identity = first_record(folder) + f"{experiment}/{name}".encode()
    run_id = hashlib.sha256(identity).hexdigest()[:16]
    return Run(folder, run_id, experiment or "runs", group, name, _config(folder))


def _config(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(folder.glob("params/*.yaml")):
        try:
            found[path.stem] = masked(plain(yaml.safe_load(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, yaml.YAMLError):  # other programs write Python objects there
            continue
    return found
