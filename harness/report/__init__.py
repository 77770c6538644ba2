"""The HTML report: one self-contained file a run.

    write(path, ReportInput(history=history, verdict=verdict, plan=plan, ...))

`model` says what the page holds (pure), `cycle` and `strip` draw (pure), `series` packs what the charts show,
`page.html` arranges it, `page.css` dresses it, `page.js` draws the charts. The page loads nothing and sends nothing: a
content security policy in it forbids both, and lets no script run but our own, whose hash it names. Everything that
came from a database is escaped by the template, set as text by the script, or base64.
"""

from harness.report.build import build, write
from harness.report.model import NodeLog, ReportInput

__all__ = ["NodeLog", "ReportInput", "build", "write"]
