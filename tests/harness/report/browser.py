"""A headless Chromium, driven over the DevTools protocol through a pipe (no port, no dependency)."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """The browser's path, None where there is none."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


class Browser:
    """One page of one browser. A context manager: leaving it ends the browser and removes its profile.

    console: text of every warning or error that the page logged, and of every exception. requests: addresses that the
    page asked for.
    """

    def __init__(self) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self._number = 0
        self._buffer = b""
        self._answers: dict[int, dict[str, Any]] = {}
        self._session = ""
        self._loaded = 0

    def __enter__(self) -> Browser:
        self._profile = tempfile.mkdtemp(prefix="report-browser-")
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        far = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 100) for end in (to_child, from_child)]
        path = str(chromium())
        self._pid = os.posix_spawn(
            path,
            [path, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            os.environ,
            file_actions=[
                *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)),
                (os.POSIX_SPAWN_DUP2, far[0], 3),
                (os.POSIX_SPAWN_DUP2, far[1], 4),
            ],
            setsid=True,
        )
        for end in (to_child, from_child, *far):
            os.close(end)
        targets = self.call("Target.getTargets", top=True)["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", top=True, targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *exc: object) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, *, top: bool = False, timeout_s: float = 60.0, **params: Any) -> dict[str, Any]:
        """One request of the protocol and its result. Raises RuntimeError for an error, TimeoutError."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if not top:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        self._pump(lambda: number in self._answers, timeout_s)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(
        self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True
    ) -> None:
        """Load a local file and wait until it is loaded and its charts are drawn."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call(
            "Emulation.setEmulatedMedia", features=[scheme, {"name": "prefers-reduced-motion", "value": "reduce"}]
        )
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.console.clear()
        self.requests.clear()
        loaded = self._loaded
        self.call("Page.navigate", url=path.resolve().as_uri())
        self._pump(lambda: self._loaded > loaded, 60.0)
        deadline = time.monotonic() + 30
        while scripts and time.monotonic() < deadline:
            if self.evaluate("!document.getElementById('data') || 'charts' in document.documentElement.dataset"):
                break
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of a script expression. Raises RuntimeError when it throws."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """`mouseMoved`, `mousePressed`, `mouseReleased` at a place in the window."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=more.pop("button", "none"), **more)

    def screenshot(self, path: Path, selector: str | None = None) -> None:
        """A picture of the window, or of one element, as PNG."""
        more: dict[str, Any] = {}
        if selector is not None:
            box = self.evaluate(
                f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                " return [b.left + scrollX, b.top + scrollY, b.width, b.height]; })()"
            )
            more = {"clip": dict(zip(("x", "y", "width", "height"), box)) | {"scale": 1}, "captureBeyondViewport": True}
        picture = self.call("Page.captureScreenshot", format="png", **more)["data"]
        path.write_bytes(base64.b64decode(picture))

    def _pump(self, done: Any, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise TimeoutError("the browser did not answer in time")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended")
            *messages, self._buffer = (self._buffer + piece).split(b"\0")
            for message in messages:
                self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.console.append(json.dumps(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.console.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
