"""A run as `junit.xml`, which every CI server can show.

One test case for the run as a whole and one for each checker. What is invalid is a failure; what could not be judged is
an error: an infrastructure failure, or a verdict `unknown`, because a run that proves nothing must not look green.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from harness.plan import TestPlan
from harness.verdict import Verdict

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(
    plan: TestPlan, verdict: Verdict | None, *, sentence: str, error: str | None, took_s: float, repeat: str
) -> bytes:
    """The file. verdict: None when nothing could be judged. error: why the run itself failed, None if it did not."""
    faults = "+".join(plan.faults) or "none"
    suite = ElementTree.Element("testsuite", name=f"faultline {plan.target}", time=f"{took_s:.3f}")
    whole = _case(suite, plan, f"{plan.workload} faults={faults} seed={plan.seed}", took_s)
    if error is not None:
        _end(whole, "error", "infrastructure", error, repeat)
    elif verdict is not None:
        _judged(whole, verdict, sentence, repeat)
    for name, each in sorted(verdict.checkers.items()) if verdict is not None else ():
        _judged(_case(suite, plan, name, 0.0), each, sentence, repeat)
    counts = {kind: str(len(suite.findall(f"testcase/{kind}"))) for kind in ("failure", "error")}
    suite.attrib.update(tests=str(len(suite)), failures=counts["failure"], errors=counts["error"])
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, plan: TestPlan, name: str, took_s: float) -> ElementTree.Element:
    place = f"faultline.{plan.target}.{plan.workload}"
    return ElementTree.SubElement(suite, "testcase", classname=place, name=name, time=f"{took_s:.3f}")


def _judged(case: ElementTree.Element, verdict: Verdict, sentence: str, repeat: str) -> None:
    found = ", ".join(f"{name} {count}" for name, count in verdict.anomaly_counts.items())
    text = "\n".join([*(anomaly.sentence for anomaly in verdict.anomalies), *verdict.reasons])
    if verdict.verdict == "invalid":
        _end(case, "failure", found or "invalid", sentence, f"{text}\n{repeat}")
    elif verdict.verdict == "unknown":
        _end(case, "error", "unknown", "; ".join(verdict.reasons) or sentence, f"{text}\n{repeat}")


def _end(case: ElementTree.Element, kind: str, type_: str, message: str, text: str) -> None:
    """A database's words may hold what XML can't: such characters are shown as their replacement."""
    element = ElementTree.SubElement(case, kind, type=_clean(type_), message=_clean(message))
    element.text = _clean(text)


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
