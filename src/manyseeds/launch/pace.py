"""How far a training is, said now and then to whoever started the workflow."""

import re

FIRST_S, LONGEST_S = 10.0, 300.0
"""Seconds until the first line, and the most between two; the pauses double."""
_ITERATION = re.compile(r" *Learning iteration (\d+)/(\d+)")
_VALUE = re.compile(r" *(ETA|Mean reward|Metrics/success_rate): (\S+)")


class Pace:
    """Reads what training prints and makes a line of it now and then.

    Args:
        now: seconds, from any origin.
    """

    def __init__(self, now: float) -> None:
        self._pause, self._next = FIRST_S, now + FIRST_S
        self._done, self._total = 0, 0
        self._values: dict[str, str] = {}

    def heard(self, line: str, now: float) -> str | None:
        """Return a line for the user where it is time for one, else None.

        Args:
            line: the next line of training's output.
            now: seconds, from the same origin.
        """
        if match := _ITERATION.match(line):
            self._done, self._total = int(match[1]), int(match[2])
            return None
        if not (match := _VALUE.match(line)):
            return None
        self._values[match[1]] = match[2]
        # The ETA ends a block.
        if match[1] != "ETA" or now < self._next or self._done == self._total:
            return None
        self._pause = min(2 * self._pause, LONGEST_S)
        self._next = now + self._pause
        return self._said()

    def _said(self) -> str:
        share = f"{self._done / self._total:.0%} (iteration {self._done:,} of {self._total:,})"
        parts = [share, f"{self._values['ETA']} left"]
        if reward := self._values.get("Mean reward"):
            parts.append(f"reward {reward}")
        if success := self._values.get("Metrics/success_rate"):
            parts.append(f"success {float(success):.0%}")
        return ", ".join(parts)
