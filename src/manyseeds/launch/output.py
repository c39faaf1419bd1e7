"""The output of a command by line, until the command has ended."""

import codecs
import io
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator

POLL_S = 1.0
LONGEST_REST_S = 5.0
"""How long a background process may go on writing after the command has ended, before its output is left alone."""


class Output:
    """Yields the lines of a process's standard output, without their ends.

    The end of the pipe is not waited for: a process that the command left in the background, such as TensorBoard, holds
    the pipe open for as long as it runs.

    Args:
        process: started with `stdout=PIPE` and in binary mode.
        idle: called about every second while nothing is written.

    Attributes:
        left_behind: whether something still holds the pipe after the command has ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], idle: Callable[[], None] = lambda: None) -> None:
        self.left_behind = False
        self._process, self._idle = process, idle

    def __iter__(self) -> Iterator[str]:
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        rest = ""
        for data in self._pieces():
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            yield from lines
        if rest := rest + decoder.decode(b"", final=True):
            yield rest

    def _pieces(self) -> Iterator[bytes]:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        ended: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                written = selector.select(POLL_S if ended is None else POLL_S / 4)
                if written:
                    data = os.read(pipe, 1 << 16)
                    if not data:
                        return
                    yield data
                if ended is None and self._process.poll() is not None:
                    ended = time.monotonic()
                elif ended is not None and (not written or time.monotonic() - ended > LONGEST_REST_S):
                    self.left_behind = True
                    return
                elif not written:
                    self._idle()
