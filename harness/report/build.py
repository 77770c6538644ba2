"""From a run's record to the HTML text, and to the file. Cost: about 40 µs an operation."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import InfrastructureError
from harness.report.model import ReportInput, make_page

HERE = Path(__file__).parent


def build(run: ReportInput) -> str:
    """The report as one HTML text."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = (HERE / "page.css").read_text("utf-8"), (HERE / "page.js").read_text("utf-8")
    return environment.get_template("page.html").render(
        page=make_page(run),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def write(path: Path, run: ReportInput) -> None:
    """Write the report, replacing what was there as a whole. Raises InfrastructureError when it can't be written."""
    half = path.with_suffix(".tmp")
    text = build(run).encode("utf-8", "backslashreplace")
    try:
        half.write_bytes(text)
        half.replace(path)
    except OSError as error:
        raise InfrastructureError(f"can't write the report {path}: {error.strerror}") from error


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
