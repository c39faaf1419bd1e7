"""A real headless Chromium, driven through chromedriver's plain HTTP interface (W3C WebDriver)."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from helpers.waiting import wait_for

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # No name resolves: there is no network, but for a server of this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU.
]


class Browser:
    """One browser window without a network; a context manager.

    Args:
        size: pixels of the window.
    """

    def __init__(self, size: tuple[int, int] = (1500, 1100)) -> None:
        self._size = size

    def __enter__(self) -> "Browser":
        driver = shutil.which("chromedriver")
        assert driver, "chromedriver is missing: install the Debian packages chromium and chromium-driver"
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True, start_new_session=True)
        for line in self._driver.stdout:
            if match := re.search(r"started successfully on port (\d+)", line):
                self._url = f"http://127.0.0.1:{match[1]}/session"
                break
        size = "--window-size={},{}".format(*self._size)
        options = {"args": [*ARGUMENTS, size, f"--user-data-dir={self._profile.name}"]}
        if chromium := shutil.which("chromium"):
            options["binary"] = chromium
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self._send("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/{session['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._send("DELETE", "")
        finally:
            os.killpg(self._driver.pid, signal.SIGKILL)  # The browser's processes too, should one hang.
            self._driver.communicate()
            self._profile.cleanup()

    def open(self, path: Path, fragment: str = "") -> None:
        """Show a file, from the beginning even if it is shown already."""
        self.open_address(path.resolve().as_uri() + fragment)

    def open_address(self, address: str) -> None:
        """Show what is at an address."""
        self._send("POST", "/url", {"url": "about:blank"})
        self.console()
        self.requests()
        self._send("POST", "/url", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:
        """The value that the body of a JavaScript function returns."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, script: str, *arguments: object) -> Any:
        """What a script returns once that is something; pages draw a moment after a click."""
        return wait_for(lambda: self.run(script, *arguments), what=script)

    def pointer(self, *actions: dict[str, Any]) -> None:
        """Move and press the mouse; see WebDriver's pointer actions."""
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": list(actions)}
        self._send("POST", "/actions", {"actions": [mouse]})

    def console(self, level: str = "") -> list[str]:
        """What the page has written to the console since the last call; of one level only if that is given: SEVERE."""
        entries = self._send("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if level in ("", entry["level"])]

    def press(self, key: str) -> None:
        """Press and release a key of the keyboard."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        events = [json.loads(entry["message"]) for entry in self._send("POST", "/se/log", {"type": "performance"})]
        return [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]

    def resize(self, width: int, height: int) -> None:
        """Show pages as on a screen of so many pixels, narrow ones as on a telephone; 0 and 0 as before."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 0, "mobile": 0 < width < 500}
        self._devtools("Emulation.setDeviceMetricsOverride", screen)

    def print_media(self, on: bool) -> None:
        """Show pages as they are printed, or as on a screen."""
        self._devtools("Emulation.setEmulatedMedia", {"media": "print" if on else ""})

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, path: Path | None = None) -> bytes:
        """Return what the window shows as PNG, and write it to a file if one is given."""
        png = base64.b64decode(self._send("GET", "/screenshot"))
        if path is not None:
            path.write_bytes(png)
        return png

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            # Long, for a machine that is busy with other things.
            with urllib.request.urlopen(request, timeout=300) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None
