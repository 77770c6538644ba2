"""The glossary as Markdown, for `docs/reading-a-report.md`: `python -m harness.report.glossary_text` prints it."""

from __future__ import annotations

from harness.glossary import ANOMALIES, MODELS


def markdown() -> str:
    """Two tables: anomalies and models."""
    lines = ["| name | in plain words | what happened | why it matters |", "|---|---|---|---|"]
    lines += [f"| `{t.name}` | {t.title} | {t.meaning} | {t.harm} |" for t in ANOMALIES.values()]
    lines += ["", "## Glossary: consistency models", "", "| name | a database keeps it if |", "|---|---|"]
    lines += [f"| `{m.name}` | {m.meaning} |" for m in MODELS.values()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
