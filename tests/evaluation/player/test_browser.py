"""The player in a real Chromium: it loads, moves and does what a person asks for."""

import io
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.browser import Browser
from manyseeds.evaluation.player.browser import serve
from manyseeds.evaluation.player.player import Player

pytestmark = pytest.mark.browser
SHOWN = "const bars = document.querySelector('[data-steps]'); return bars && {...bars.dataset}"
SEEN = "return [...document.querySelectorAll('[data-place]')].map(bars => bars.dataset.iteration)"
# The input of a label in the panel.
INPUT = (
    "const label = [...document.querySelectorAll('label, .mantine-Text-root, div')].filter(e => !e.children.length)"
    ".find(e => e.textContent === arguments[0]);"
    "let box = label; while (box && !box.querySelector('input')) box = box.parentElement;"
)
BUTTON = "[...document.querySelectorAll('button')].find(button => button.textContent.trim() === arguments[0])"
