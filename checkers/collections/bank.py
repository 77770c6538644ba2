"""Bank accounts: transfers move money, so every read of all accounts must find the same total.

    transfer  {from, to, amount}  → ok; fail: not enough money there
    read      null                → ok {account: balance, ...}, or [[account, balance], ...]

    wrong-total          the balances of one read do not come to the total: it saw a half of a transfer, or one was lost
    negative-balance     an account below zero, though each transfer looks first (unless `negative-balances=allowed`)
    impossible-balances  balances that no choice of the transfers explains: those acknowledged before the read began,
                         some of those that overlap it or have an unknown outcome, none that began later

The total is that of the options (`total`; a run's accounts × balance); where nobody says it, most reads do, and reads
that disagree prove that one of them is wrong. A database that keeps consistent view, or anything stronger, never shows
a wrong total: of each transfer it shows all or nothing (G-single). Below that it does not count. Where each transfer
reads the balance before it takes from it, a negative one means that it changed between: lost update. Impossible
balances need the accounts' first balances (`accounts`, `balance`), so they are looked for in our own runs; they count
where the model speaks of realtime. In a history of at most 12 transfers also those are found that no choice of all its
transfers explains, which count from consistent view on, or none that fits its client's own (strong-session models). A
read is judged so as long as at most 12 transfers are open at it; stats say how many were.

Source: Jepsen's bank (wrong total, negative value); the third is ours: a total is blind to a transfer that is missing
as a whole. Cost: O(reads × accounts); up to 2^12 sums for a read that differs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.client_calls import NEVER, ClientCall, calls_of
from checkers.findings import NEVER_COUNTS, Finding, verdict_of, without_realtime
from checkers.models import canonical
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import FAIL, History, HistoryError
from harness.verdict import Anomaly, Verdict

READ_SKEW, LOST_UPDATE = "G-single-item", "lost-update"
SESSION, REALTIME = "G-single-item-process", "G-single-item-realtime"
MONEY_MAX = 2**40
"""No amount or balance is as large: then no sum of a history leaves 64 bits."""
OPEN_MAX = 12
WORK_MAX = 2_000_000
"""Sums that all reads of a history may cost together."""


@dataclass(frozen=True)
class Transfer:
    """One transfer, by its call. source, goal: accounts."""

    call: ClientCall
    source: Any
    goal: Any
    amount: int


@dataclass(frozen=True)
class Read:
    """One successful read of all accounts."""

    call: ClientCall
    balances: dict[Any, int]

    @property
    def total(self) -> int:
        return sum(self.balances.values())


class Bank:
    """See the module's docstring."""

    name = "bank"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every read. Raises HistoryError for values of another shape."""
        given, model = options.workload, canonical(options.model or "snapshot-isolation")
        calls = calls_of(history, ("transfer", "read"), only=True)
        transfers = [_transfer(call) for call in calls if call.f == "transfer"]
        reads = [Read(call, _balances(call)) for call in calls if call.f == "read" and call.ok]
        total = _total(given, reads)
        negative = NEVER_COUNTS if given.get("negative-balances") == "allowed" else LOST_UPDATE
        findings = [finding for read in reads for finding in _plain(read, total, negative)]
        judged = 0
        if "balance" in given and "accounts" in given:
            wrong = {id(read) for read in reads if read.total != total}
            judging = [read for read in reads if id(read) not in wrong]
            first = _First(transfers, int(given["accounts"]), int(given["balance"]))
            impossible, judged = _impossible(first, judging, history.has_invocations)
            findings += impossible
        undecided = []
        if not reads and any(transfer.call.ok for transfer in transfers):
            undecided.append("no read of all accounts succeeded: nothing is known about the balances")
        undecided += without_realtime(history, calls, model)
        return verdict_of(
            self.name,
            findings,
            options,
            model=model,
            undecided=undecided,
            stats={
                "transfers": sum(transfer.call.ok for transfer in transfers),
                "transfers_failed": sum(transfer.call.outcome == FAIL for transfer in transfers),
                "reads": len(reads),
                "reads_wrong": sum(read.total != total for read in reads),
                "reads_explained_or_not": judged,
                "total": total,
                "least_balance": min((min(r.balances.values(), default=0) for r in reads), default=0),
            },
        )


def _is_money(value: Any) -> bool:
    return type(value) is int and abs(value) < MONEY_MAX


_NUMBER = re.compile(r"[0-9]{1,100}")


def _account(value: Any) -> Any:
    """An account's name; JSON makes texts of numbers that are keys."""
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _transfer(call: ClientCall) -> Transfer:
    value = call.argument
    amount: Any = value.get("amount") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not _is_money(amount) or not {"from", "to"} <= set(value):
        raise HistoryError(
            f"index {call.index}: the value of a transfer must be {{from, to, amount}}, not {show(value)}"
        )
    try:
        hash((value["from"], value["to"]))
    except TypeError:
        raise HistoryError(f"index {call.index}: an account must be a name or a number: {show(value)}") from None
    return Transfer(call, _account(value["from"]), _account(value["to"]), amount)


def _balances(call: ClientCall) -> dict[Any, int]:
    value, balances = call.result, {}
    if isinstance(value, Mapping):
        rows = list(value.items())
    elif isinstance(value, list | tuple) and all(type(each) is int for each in value):
        rows = list(enumerate(value))
    elif isinstance(value, list | tuple) and all(isinstance(each, list | tuple) and len(each) == 2 for each in value):
        rows = [(account, balance) for account, balance in value]
    else:
        rows = [(None, None)]
    for account, balance in rows:
        if isinstance(account, list | dict) or not (balance is None or _is_money(balance)) or account is None:
            raise HistoryError(
                f"index {call.record}: an ok read must have {{account: balance}} or [[account, balance]], "
                f"not {show(value)}"
            )
        if _account(account) in balances:
            raise HistoryError(f"index {call.record}: a read lists account {show(account)} twice")
        balances[_account(account)] = balance or 0
    return balances


def _total(given: Mapping[str, Any], reads: list[Read]) -> int:
    if given.get("total"):
        return int(given["total"])
    if "balance" in given and "accounts" in given:
        return int(given["accounts"]) * int(given["balance"])
    counts = Counter(read.total for read in reads)
    return max(counts, key=lambda total: (counts[total], -total), default=0)


def _plain(read: Read, total: int, negative: str) -> Iterator[Finding]:
    """What one read proves by itself."""
    call, records = read.call, read.call.records
    if read.total != total:
        sentence = (
            f"Client {call.process} read all accounts at once and found {read.total} in them, not {total}: "
            f"{_shown(read.balances)}. Transfers move money, so it saw a part of one without the rest, or one was lost."
        )
        details = {"total": read.total, "expected": total}
        yield Finding(Anomaly("wrong-total", records, sentence, sub_history=records, details=details), READ_SKEW)
    below = {account: balance for account, balance in read.balances.items() if balance < 0}
    if below:
        account = min(below, key=lambda each: below[each])
        sentence = (
            f"Client {call.process} found {below[account]} in account {show(account)}. A transfer looks whether there "
            "is enough before it takes, so the balance changed in between."
        )
        yield Finding(Anomaly("negative-balance", records, sentence, key=account, sub_history=records), negative)


def _shown(balances: dict[Any, int]) -> str:
    parts = [f"{show(account)}: {balance}" for account, balance in balances.items()]
    return ", ".join(parts[:12]) + (" ..." if len(parts) > 12 else "")


class _First:
    """The first balances, and what each transfer that may have happened changes (m × accounts). Accounts: 0, 1, ..."""

    def __init__(self, transfers: list[Transfer], accounts: int, balance: int) -> None:
        self.accounts, self.balance = accounts, balance
        self.moving = [each for each in transfers if each.call.outcome != FAIL]
        self.known = all(_within(each.source, accounts) and _within(each.goal, accounts) for each in self.moving)
        self.change = np.zeros((len(self.moving), accounts), np.int64)
        for i, each in enumerate(self.moving if self.known else ()):
            self.change[i, each.source] -= each.amount
            self.change[i, each.goal] += each.amount

    def difference(self, read: Read) -> np.ndarray:
        """How the balances of a read differ from the first ones."""
        found = [read.balances.get(account, 0) for account in range(self.accounts)]
        return np.array(found, np.int64) - self.balance

    def unexplained(self, read: Read) -> tuple[str, np.ndarray, int] | None:
        """Of a read that no choice of all transfers explains, or none that fits its client's own ones: what it breaks.

        With the difference, and of how many transfers no choice comes to it. None also where they are too many to tell.
        """
        if len(self.moving) > OPEN_MAX:
            return None
        difference = self.difference(read)
        if not _reachable(self.change, difference):
            return READ_SKEW, difference, len(self.moving)
        own = np.array([each.call.process == read.call.process for each in self.moving], bool)
        sure = own & np.array([each.call.end < read.call.place for each in self.moving], bool)
        maybe = ~own | np.array(
            [each.call.end == NEVER and each.call.place < read.call.place for each in self.moving], bool
        )
        difference = difference - self.change[sure].sum(axis=0)
        if not _reachable(self.change[maybe], difference):
            return SESSION, difference, int(np.sum(maybe))
        return None


def _impossible(first: _First, reads: list[Read], timed: bool) -> tuple[list[Finding], int]:
    """(findings, how many reads were decided)."""
    if not first.known:
        return [], 0
    if timed:
        return _untimely(first, reads)
    broken = [(read, first.unexplained(read)) for read in reads]
    findings = [_unexplained(read, *how) for read, how in broken if how]
    return findings, len(reads) if len(first.moving) <= OPEN_MAX else 0


def _untimely(first: _First, reads: list[Read]) -> tuple[list[Finding], int]:
    """Reads that no choice of the transfers explains that may have happened by then."""
    moving, change, accounts = first.moving, first.change, first.accounts
    begin = np.array([each.call.place for each in moving], np.int64)
    end = np.array([each.call.end for each in moving], np.int64)
    done = np.argsort(end, kind="stable")
    sums = np.vstack((np.zeros((1, accounts), np.int64), np.cumsum(change[done], axis=0)))
    ended, known = end[done], int(np.sum(end < NEVER))
    unknown = begin[end >= NEVER]
    latest = np.maximum.accumulate(np.where(end < NEVER, end, -1)) if len(end) else end
    findings, judged, work = [], 0, 0
    for read in reads:
        before = min(int(np.searchsorted(ended, read.call.place)), known)
        difference = first.difference(read) - sums[before]
        if len(read.balances) <= accounts and not difference.any():
            judged += 1
            continue
        open_ = int(np.searchsorted(unknown, read.call.end))
        if open_ > OPEN_MAX:
            continue
        low, high = np.searchsorted(latest, read.call.place, "right"), np.searchsorted(begin, read.call.end)
        overlapping = np.arange(low, max(low, high))
        overlapping = overlapping[(end[overlapping] > read.call.place) & (end[overlapping] < NEVER)]
        candidates = np.concatenate((np.searchsorted(begin, unknown[:open_]), overlapping))
        work += 1 << min(len(candidates), OPEN_MAX)
        if len(candidates) > OPEN_MAX or work > WORK_MAX:
            continue
        judged += 1
        if not _reachable(change[candidates], difference):
            how = first.unexplained(read) or (REALTIME, difference, len(candidates))
            findings.append(_unexplained(read, *how))
    return findings, judged


def _within(account: Any, accounts: int) -> bool:
    return type(account) is int and 0 <= account < accounts


def _reachable(changes: np.ndarray, difference: np.ndarray) -> bool:
    """Whether some of the changes (k × accounts) come to the difference."""
    sums = np.zeros((1, len(difference)), np.int64)
    for change in changes:
        sums = np.vstack((sums, sums + change))
    return bool(np.any(np.all(sums == difference, axis=1)))


_COMPARED = {
    READ_SKEW: "the first ones",
    SESSION: "the first ones after its own transfers",
    REALTIME: "those of the transfers acknowledged before",
}


def _unexplained(read: Read, evidence: str, difference: np.ndarray, count: int) -> Finding:
    """count: how many transfers may or may not have happened. difference: what none of their choices comes to."""
    records = read.call.records
    parts = [f"{account} by {change:+d}" for account, change in enumerate(difference.tolist()) if change]
    sentence = (
        f"Client {read.call.process} read balances that differ from {_COMPARED[evidence]}: account "
        f"{', '.join(parts[:8])}{' ...' if len(parts) > 8 else ''}. "
        + (
            f"No choice of the {count} transfers that may have happened explains that."
            if count
            else "No other transfer may have happened."
        )
    )
    return Finding(Anomaly("impossible-balances", records, sentence, sub_history=records), evidence)
