"""The page as a browser and a reader get it: self-contained, harmless, complete."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import Browser, chromium
from report_samples import bank_of_lists

from harness.errors import InfrastructureError
from harness.history import History
from harness.op import Op
from harness.report import ReportInput, build, write
from harness.verdict import Verdict

POISON = "</script><img src=x onerror=owned=1><script>owned=1</script>\u2028\"'`{{7*7}}<!--]]>&lt;"

needs_browser = pytest.mark.skipif(chromium() is None, reason="no chromium here (apt install chromium)")


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write(path, bank_of_lists())
    return path


def test_the_page_has_no_hooks_for_foreign_code_and_loads_nothing(page: Path) -> None:
    reader = Reader(page.read_text("utf-8"))
    assert reader.tags.count("script") == 2
    assert not {"img", "iframe", "object", "link", "base", "form"} & set(reader.tags)
    names = {name for name, _ in reader.attributes}
    assert not {name for name in names if name.startswith("on")} and "style" not in names
    assert {value for name, value in reader.attributes if name == "src"} == set()


def test_hostile_values_come_out_as_text() -> None:
    html = build(bank_of_lists(poison=POISON))
    reader = Reader(html)
    assert reader.tags.count("script") == 2 and "img" not in reader.tags
    assert not {name for name, _ in reader.attributes if name.startswith("on")}
    assert POISON in reader.text, "it can still be read"
    assert "49" not in reader.text.split("{{7*7}}")[0][-20:]


def test_a_history_alone_has_no_sections_about_a_run() -> None:
    run = bank_of_lists()
    html = build(ReportInput(history=run.history, verdict=run.verdict, source="history.edn", sentence="Found."))
    assert "history.edn" in html
    for section in ('id="repeat"', 'id="logs"', 'id="environment"'):
        assert section not in html
        assert section in build(run)


def test_an_empty_history_and_one_without_times_have_a_page_too() -> None:
    empty = build(ReportInput(history=History.from_ops([]), verdict=Verdict("unknown", reasons=["nothing was done"])))
    assert "Unknown" in empty and "nothing was done" in empty
    ops = [Op(t, "read", 1, 0, 0, i) for i, t in enumerate(["invoke", "ok", "invoke", "info", "invoke"])]
    html = build(ReportInput(history=History.from_ops(ops), verdict=Verdict("valid")))
    assert 'id="timeline"' not in html and 'id="availability"' not in html


def test_a_report_that_can_not_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"can't write the report .*missing"):
        write(tmp_path / "missing" / "report.html", bank_of_lists())


def test_a_hundred_and_fifty_thousand_operations_stay_small_and_quick(tmp_path: Path) -> None:
    ops = []
    for i in range(150_000):
        value = [["append", i % 50, i], ["r", (i + 1) % 50, list(range(i % 30))]]
        ops.append(Op("invoke", "txn", value, i % 20, i * 200_000, 2 * i))
        ops.append(Op("ok", "txn", value, i % 20, i * 200_000 + 190_000, 2 * i + 1))
    history = History.from_ops(ops)
    began = time.monotonic()
    write(tmp_path / "big.html", ReportInput(history=history, verdict=Verdict("valid")))
    assert time.monotonic() - began < 60
    assert (tmp_path / "big.html").stat().st_size < 6_000_000


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_anomaly_is_visible_and_the_console_silent(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, dark=dark)
    text = browser.evaluate("document.body.innerText")
    assert "Write skew was seen 31 times" in text
    assert "T1 read list 40 and did not see T2's append of 1 to it" in text
    assert "T2 read 41 = [], T1 appended 1 to it: so T2 came first." in text
    assert "two doctors both go off call" in text
    assert browser.evaluate("document.documentElement.dataset.charts") == "drawn"
    assert browser.console == []
    assert browser.requests == [page.resolve().as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scrolling"


@needs_browser
def test_every_chart_has_something_on_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    colors = browser.evaluate(
        """[...document.querySelectorAll('canvas')].map((canvas) => {
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data, seen = new Set();
            for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) seen.add(data.slice(i, i + 3).join());
            return seen.size;
        })"""
    )
    assert len(colors) == 4 and min(colors) > 20


@needs_browser
def test_without_javascript_verdict_words_and_cycles_are_there(browser: Browser, page: Path) -> None:
    browser.open(page, scripts=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    text = browser.evaluate("document.body.innerText")
    assert "Invalid" in text and "Write skew was seen 31 times" in text and "These charts need JavaScript" in text
    assert browser.evaluate("document.querySelector('svg.cycle').getBoundingClientRect().width") > 300
    assert browser.evaluate("document.getElementById('charts').hidden") is True


@needs_browser
def test_pointing_reads_an_operation_dragging_zooms_and_a_button_shows_the_anomaly(
    browser: Browser, page: Path
) -> None:
    browser.open(page, height=1000)
    browser.evaluate("document.querySelector('#found-1 button.show').click()")
    box = browser.evaluate(
        "(() => { const c = document.getElementById('chart-clients'); c.scrollIntoView({block: 'center'});"
        " const b = c.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
    )
    left, top, width, height = box
    found = set()
    for row in (4, 7):
        for step in range(12):
            browser.mouse(
                "mouseMoved", left + 76 + (width - 86) * (step + 0.5) / 12, top + (height - 24) * (row + 0.5) / 12
            )
            if "part of G2-item" in (said := browser.evaluate("document.getElementById('tip').textContent")):
                found.add(said)
    assert any("read 40 → []; append 1 to 41" in said for said in found), found
    assert any("read 41 → []; append 1 to 40" in said for said in found), found
    before = browser.evaluate("document.getElementById('chart-rate').toDataURL()")
    browser.evaluate("document.getElementById('zoom-all').click()")
    time.sleep(0.2)
    assert browser.evaluate("document.getElementById('chart-rate').toDataURL()") != before
    whole = browser.evaluate("document.getElementById('chart-clients').toDataURL()")
    y = top + height / 2
    browser.mouse("mousePressed", left + 200, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", left + 400, y, button="left", buttons=1)
    browser.mouse("mouseReleased", left + 400, y, button="left", clickCount=1)
    time.sleep(0.2)
    assert browser.evaluate("document.getElementById('chart-clients').toDataURL()") != whole
    assert browser.console == []


@needs_browser
def test_hostile_values_do_not_run(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    write(path, bank_of_lists(poison=POISON))
    browser.open(path)
    assert browser.evaluate("typeof owned") == "undefined"
    assert browser.evaluate("document.documentElement.dataset.charts") == "drawn"
    assert POISON.replace("\u2028", "") in browser.evaluate("document.body.textContent").replace("\u2028", "")
    assert browser.console == []


@needs_browser
def test_the_policy_stops_a_script_that_got_in_anyway(browser: Browser, page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    shutil.copy(page, broken)
    broken.write_text(
        page.read_text("utf-8").replace("</main>", "<script>owned = 1</script><img src=x onerror=owned=1></main>")
    )
    browser.open(broken)
    assert browser.evaluate("typeof owned") == "undefined"
    assert any("Content Security Policy" in line for line in browser.console)
