"""What each anomaly and each consistency model means, in plain words.

The names are Elle's and Adya's (Adya, "Weak Consistency", 1999; Kingsbury & Alvaro, "Elle", VLDB 2020); the plain words
are for a developer who never met them. The console, the report and `docs/reading-a-report.md` take theirs from here; a
test holds the docs to it.
"""

from __future__ import annotations

import msgspec


class Term(msgspec.Struct, frozen=True):
    """One anomaly. name: as in verdicts. title: two or three plain words. meaning: what happened.
    harm: what it does to an application. as_noun: what is seen, where the title can't be said so ("... seen twice")."""

    name: str
    title: str
    meaning: str
    harm: str
    as_noun: str = ""

    @property
    def noun(self) -> str:
        """What is seen, in the middle of a sentence."""
        return self.as_noun or self.title[:1].lower() + self.title[1:]


class Model(msgspec.Struct, frozen=True):
    """One consistency model. name: as in verdicts. meaning: completes "a database keeps this if ..."."""

    name: str
    title: str
    meaning: str


ANOMALIES: dict[str, Term] = {
    term.name: term
    for term in (
        Term(
            "G0",
            "Dirty write",
            "Two transactions wrote the same two things, and each one's write ended up on top of the other's once. "
            "There is no order in which both happened as a whole.",
            "Data that was written together is left half from one transaction and half from another.",
        ),
        Term(
            "G1a",
            "Aborted read",
            "A transaction read a value written by another one that was rolled back. Officially, that value "
            "never existed.",
            "Decisions are made, and answers given, on data that then vanishes.",
        ),
        Term(
            "G1b",
            "Intermediate read",
            "A transaction read a value that another one wrote first and then replaced within the same "
            "transaction. Only "
            "the last one was meant to be seen.",
            "Half-done work leaks out: a total before the second half of a transfer was added.",
        ),
        Term(
            "G1c",
            "Circular information flow",
            "Each of some transactions wrote or read something that makes it come after the others, round in a "
            "circle: two "
            "transactions each saw the other's effects, say.",
            "There is no order of events that explains what clients were told; cause and effect are lost.",
        ),
        Term(
            "G-single",
            "Read skew",
            "A transaction saw one part of another's work and missed the rest: it read one thing from after the other "
            "transaction and another thing from before it.",
            "Totals and checks that span several rows come out wrong, though each row looks right on its own.",
        ),
        Term(
            "G-nonadjacent",
            "Inconsistent snapshots",
            "Several transactions read from points in time that contradict each other: one saw A's work without B's, "
            "another B's without A's (a long fork is the best known case).",
            "Two users looking at the same data disagree about what happened first, and neither is wrong by "
            "their own view.",
        ),
        Term(
            "G2-item",
            "Write skew",
            "Two or more transactions each read something that another was about to change, and none saw the "
            "other's change. "
            "Each alone was right; run one after the other, at least one would have acted differently.",
            "Rules that span rows break: two doctors both go off call because each saw the other still on call; "
            "an account is overdrawn from two sides.",
        ),
        Term(
            "G2",
            "Write skew over a search",
            "As write skew, but through a search: a transaction looked for rows that match a condition, and "
            "missed one that "
            "another was just adding or changing.",
            "Checks like “nobody has booked this room yet” pass twice.",
        ),
        Term(
            "lost-update",
            "Lost update",
            "Two transactions read the same value and both wrote a new one based on it. The later write buried the "
            "earlier one, which never knew.",
            "Counters miscount, list entries and edits disappear, although every write was confirmed.",
        ),
        Term(
            "internal",
            "Contradicts itself",
            "One transaction's reads disagree with its own earlier reads or writes: it did not see what it had "
            "just written, "
            "or read the same thing twice with different results.",
            "Code inside a single transaction can't rely on what it just did.",
            as_noun="transaction that contradicts itself",
        ),
        Term(
            "incompatible-order",
            "Two versions of the past",
            "Two reads of the same thing show its writes in different orders; neither is the beginning of the other.",
            "At least one reader was shown a history that did not happen (or was undone later).",
            as_noun="pair of reads that contradict each other",
        ),
        Term(
            "cyclic-versions",
            "Versions in a circle",
            "The reads say that version A of something came before B, and also that B came before A.",
            "There is no “latest” value to rely on.",
        ),
        Term(
            "duplicate-elements",
            "Written twice",
            "A value that was written once appears twice.",
            "A payment is booked twice, a message delivered twice: usually something was silently retried.",
            as_noun="duplicated element",
        ),
        Term(
            "garbage-read",
            "Garbage read",
            "A read returned a value that nobody ever wrote.",
            "Data is corrupt, or comes from somewhere else.",
            as_noun="read of a value that nobody wrote",
        ),
        Term(
            "future-read",
            "Read from the future",
            "A read returned a value before it was written: one that the same transaction wrote only later on, or that "
            "nobody had begun to write yet.",
            "Cause and effect are turned round; the order of operations is not kept.",
            as_noun="read from the future",
        ),
        Term(
            "dirty-update",
            "Built on undone work",
            "A committed write was built on top of one that was rolled back.",
            "The effects of a transaction that officially never happened are in the data for good.",
            as_noun="update built on undone work",
        ),
        Term(
            "predicate-read-miss",
            "Search missed a row",
            "A search did not return a row that was there and matched.",
            "Lists and reports leave things out; uniqueness checks pass when they should not.",
            as_noun="search that missed a row",
        ),
        Term(
            "nonlinearizable",
            "No possible order",
            "For one key there is no order of its operations that explains every answer and keeps the real order "
            "in time "
            "(an operation that ended before another began comes first).",
            "The value does not behave like one value in one place: reads go back in time, or confirmed writes "
            "are ignored. "
            "Locks, leader election and compare-and-set built on it are unsafe.",
            as_noun="history of a key that no order explains",
        ),
        Term(
            "stale-read",
            "Stale read",
            "A read returned an old value, although a newer one had been written and confirmed before the read began.",
            "A user saves, reloads, and sees the old state; a service acts on what is no longer true.",
        ),
        Term(
            "lost-write",
            "Lost write",
            "A write was confirmed and can't be found any more, and nothing overwrote it.",
            "Data that your users were told is safe is gone.",
        ),
        Term(
            "delivered-twice",
            "Delivered twice",
            "An element was put into a queue or a stack once and taken out twice.",
            "A job runs twice, a message is handled twice.",
            as_noun="element delivered twice",
        ),
        Term(
            "out-of-order",
            "Out of order",
            "Elements came out of a queue or a stack in an order that it does not allow.",
            "Later events are handled before earlier ones.",
            as_noun="element out of order",
        ),
        Term(
            "lost-element",
            "Lost element",
            "An element was added and confirmed, and it is gone although nobody took it out.",
            "Data that your users were told is safe is gone.",
        ),
        Term(
            "false-empty",
            "Empty though it is not",
            "A queue or stack said that it is empty at a time when there was always something in it.",
            "Work is left undone because nobody sees that it is there.",
            as_noun="answer of emptiness that was wrong",
        ),
        Term(
            "held-twice",
            "Lock held by two",
            "Two clients were told that they hold the same lock at the same time.",
            "What the lock protects is changed by two at once.",
            as_noun="lock held by two at once",
        ),
        Term(
            "released-unheld",
            "Release of a free lock",
            "A lock was released, with success, although whoever released it did not hold it.",
            "A client may have released somebody else's lock.",
            as_noun="release of a lock that was not held",
        ),
        Term(
            "token-went-back",
            "Fencing token went back",
            "A lock was given out with a token that is not greater than an earlier one.",
            "Storage that refuses old tokens refuses the rightful owner, or lets a former owner write.",
            as_noun="fencing token that did not grow",
        ),
        Term(
            "lost-increment",
            "Lost increment",
            "A read of a counter shows less than the increments that had been confirmed before it began.",
            "Counts, balances and stocks are too low.",
        ),
        Term(
            "extra-increment",
            "Increment from nowhere",
            "A read of a counter shows more than all increments together that anybody had begun to make.",
            "Counts, balances and stocks are too high: usually something was silently retried.",
        ),
        Term(
            "not-durable",
            "Not durable",
            "A write was confirmed, and after all faults had been healed no read on any node showed it.",
            "Data that your users were told is safe is gone for good, on every node.",
            as_noun="confirmed write that is gone on every node",
        ),
        Term(
            "torn-batch",
            "Torn batch",
            "Two rows were written by one statement that the database calls atomic. Long after everything had settled, "
            "one of them is there and the other is not.",
            "Half of a change stays for good: an order without its items, an entry that nothing points to.",
        ),
        Term(
            "diverged-view",
            "Diverged view",
            "Long after everything had settled, a view holds something else than the table that it is made from.",
            "Whoever looks a row up through the view finds an old one, none, or one that should be gone.",
            as_noun="row in which a view and its table differ",
        ),
        Term(
            "non-monotonic-read",
            "Time goes backwards",
            "A client saw something, and a later read of the same client did not show it any more.",
            "A user sees a comment, reloads, and it is gone; reloads again, and it is back.",
            as_noun="read that goes back in time",
        ),
        Term(
            "missed-own-write",
            "Missed its own write",
            "A client wrote something and was told so, and a later read of the same client did not show it.",
            "A user saves a change, and the next page does not have it.",
            as_noun="read that misses the client's own write",
        ),
        Term(
            "duplicate-id",
            "Id handed out twice",
            "The same id, which should be unique, was given to two requests.",
            "Two orders share a number, one row overwrites the other, two users get the same session.",
            as_noun="id handed out twice",
        ),
        Term(
            "wrong-count",
            "Wrong count",
            "A counter showed a value that no choice of the additions that can have happened by then adds up to.",
            "Stock, likes or quotas are miscounted: additions are lost, happen twice, or are seen too late.",
        ),
        Term(
            "wrong-total",
            "Wrong total",
            "A read of all accounts found another sum than there is, though money is only ever moved between them.",
            "Balances and reports do not add up; money seems to appear or to vanish.",
        ),
        Term(
            "negative-balance",
            "Overdrawn",
            "An account went below zero, though every transfer looks first whether there is enough.",
            "Limits that every transaction checks are passed all the same.",
            as_noun="overdrawn account",
        ),
        Term(
            "impossible-balances",
            "Impossible balances",
            "A read found balances that no choice of the transfers that can have happened by then leads to: a "
            "confirmed one is missing, or one happened twice.",
            "Money is moved twice or not at all, though the total is right.",
            as_noun="read of balances that no transfers explain",
        ),
        Term(
            "dirty-read",
            "Dirty read",
            "A transaction read what another had written but not committed.",
            "Decisions are made on data that may never come to be.",
        ),
        Term(
            "read-skew",
            "Read skew",
            "A transaction saw one part of another's work and missed the rest.",
            "Totals and checks that span several rows come out wrong, though each row looks right on its own.",
        ),
        Term(
            "write-skew",
            "Nobody is left",
            "Of a pair that needs one member to stay, both left: each transaction saw the other still there and took "
            "its own off. One after the other, the second would have seen that it may not.",
            "Any rule of the form “at least one of these” or “these together must not exceed” can be "
            "broken, although every transaction checks it.",
            as_noun="pair that both left",
        ),
        Term(
            "long-fork",
            "Long fork",
            "Two readers disagree on which of two writes came first: one saw the first without the second, the "
            "other the second without the first.",
            "Two users looking at the same data disagree about what happened first, and neither is wrong by their "
            "own view.",
        ),
        Term(
            "diverged-replicas",
            "Diverged replicas",
            "Long after the last fault and the last write, two nodes still answer the same question differently.",
            "What an application is told depends on which node it asks, for good: the copies have to be repaired "
            "by hand.",
            as_noun="pair of nodes that hold different data",
        ),
        Term(
            "too-stale",
            "Too stale",
            "A read returned a version that had been replaced longer ago than the bound that was asked for.",
            "Caches, dashboards and checks that count on data being at most that old are wrong.",
            as_noun="read that was staler than allowed",
        ),
        Term(
            "split-brain",
            "Split brain",
            "Two nodes were in charge at the same time, or two updates of one version both lived on, each with a "
            "history of its own.",
            "Both sides confirm writes that the other does not know; one side's are lost when they meet again.",
        ),
        Term(
            "non-monotonic-timestamp",
            "Timestamps disagree",
            "Of two operations the one with the later database timestamp has the smaller value of something that "
            "only grows.",
            "The timestamps that the database gives do not order its own history; reads at a point in time are wrong.",
            as_noun="timestamp that disagrees with the value",
        ),
        Term(
            "nonsequential",
            "No common order",
            "There is no order of all operations that keeps each client's own order and explains every answer.",
            "Clients saw each other's steps in orders that contradict each other: flags, messages and hand-overs "
            "break.",
            as_noun="record that no common order explains",
        ),
        Term(
            "CyclicCO",
            "Effect before its cause",
            "Operations each came to be because of the one before, round in a circle.",
            "Cause and effect are turned round.",
            as_noun="circle of causes",
        ),
        Term(
            "WriteCOInitRead",
            "Cause not seen",
            "A client read nothing, although a write of it came before, by what clients did one after the other "
            "and read from each other.",
            "Somebody sees the answer and not the question; a user's own entry is gone after a reload.",
            as_noun="effect seen without its cause",
        ),
        Term(
            "WriteCORead",
            "Older than its cause",
            "A client read a value that had been replaced, by what clients did one after the other and read from "
            "each other.",
            "A user goes back to an old state after having seen, or made, a newer one.",
            as_noun="value read after it had been replaced",
        ),
        Term(
            "CyclicCF",
            "Conflicting orders",
            "Clients saw concurrent writes in different orders, so that no one order of them is the final one for all.",
            "Replicas settle on different winners of the same conflict.",
            as_noun="pair of orders that contradict each other",
        ),
        Term(
            "WriteHBInitRead",
            "Unseen what was seen",
            "One client's answers say that it had seen a write, and a later one of its reads does not find any.",
            "A client's picture of the data contradicts itself.",
            as_noun="write that was unseen again",
        ),
        Term(
            "CyclicHB",
            "A client contradicts itself",
            "The order in which one client must have seen writes goes round in a circle.",
            "A client's picture of the data contradicts itself.",
            as_noun="client that saw writes in two orders",
        ),
        Term(
            "two-holders",
            "Two holders",
            "Two clients certainly held the same lock at the same time.",
            "What the lock guards is changed by two at once: files are corrupted, jobs run twice.",
            as_noun="lock with two holders",
        ),
        Term(
            "token-not-growing",
            "Token did not grow",
            "A lock was granted after another grant with a fencing token that is not larger.",
            "Storage that checks tokens lets the old holder in, or keeps the new one out.",
            as_noun="fencing token that did not grow",
        ),
        Term(
            "fencing-broken",
            "Fencing broken",
            "An update with an older fencing token was accepted after one with a newer token.",
            "A holder that was presumed dead overwrites its successor's work.",
            as_noun="update with an old token",
        ),
        Term(
            "event-order",
            "Events out of order",
            "A watcher was given events against the order of their revisions, or outside of what it asked for.",
            "Caches and controllers that apply events in the order in which they come end up in a wrong state.",
            as_noun="event out of order",
        ),
        Term(
            "duplicate-event",
            "Event twice",
            "A watcher was given the same event twice.",
            "Work that an event starts is done twice.",
        ),
        Term(
            "missed-event",
            "Missed event",
            "A watcher was given everything of a range of revisions, but not an event in it that others know of.",
            "Caches and controllers go on with a state that is wrong for good, and nobody tells them.",
        ),
        Term(
            "conflicting-events",
            "Conflicting events",
            "Two watchers were given different events for one key at one revision.",
            "Two controllers act on different pasts.",
            as_noun="pair of events that contradict each other",
        ),
        Term(
            "expired-early",
            "Lease ended early",
            "A key was gone before the time of its lease was up, and nobody had revoked it.",
            "Services that are alive are taken for dead, locks are lost while their holders work.",
            as_noun="lease that ended early",
        ),
        Term(
            "outlived-lease",
            "Key outlived its lease",
            "A key was found although its lease had been revoked, or the key been seen gone, before.",
            "What has ended is taken for alive: traffic goes to dead services, locks stay locked.",
            as_noun="key that outlived its lease",
        ),
        Term(
            "never-recovered",
            "Did not come back",
            "After the last fault was healed, the database did not serve requests on every node again within the "
            "time allowed.",
            "An outage that should have ended by itself needs somebody to repair it.",
            as_noun="failure to recover",
        ),
        Term(
            "read-your-writes",
            "Own write not seen",
            "A client wrote something, was told that it is committed, and did not see it in a later transaction.",
            "A user saves a form, reloads, and the change is gone.",
            as_noun="own write that its client did not see",
        ),
        Term(
            "monotonic-reads",
            "Time goes backwards",
            "A client saw something, and a later read of the same client did not show it any more.",
            "A user sees a comment, reloads, and it is gone.",
            as_noun="read that goes back in time",
        ),
        Term(
            "monotonic-writes",
            "One client's writes out of order",
            "Two writes of one client took effect in another order than it made them, or the second without the first.",
            "A correction is overwritten by what it corrected.",
            as_noun="write ahead of an earlier one of its client",
        ),
        Term(
            "writes-follow-reads",
            "Answer before the question",
            "A client read something and then wrote, and its write is seen without, or before, what it had read.",
            "Replies show up without what they reply to.",
            as_noun="write seen without what was read before it",
        ),
        Term(
            "PRAM-violation",
            "No order for one client",
            "What one client saw fits no order of all writes in which each client's own writes and reads keep theirs.",
            "An answer is there before its question, or a value before it was written.",
            as_noun="client that saw one client's writes out of order",
        ),
        Term(
            "session-causality",
            "Effect without cause",
            "A client saw a write and missed another that had come before it, in the eyes of the client that made it.",
            "Data refers to data that is not there.",
            as_noun="effect seen without its cause",
        ),
        Term(
            "causality-violation",
            "Effect without cause",
            "A transaction saw another's work and missed what that one had been built on.",
            "Data refers to data that is not there.",
            as_noun="effect seen without its cause",
        ),
        Term(
            "fractured-read",
            "Half of a transaction",
            "A transaction saw one write of another and not a second one that was made together with it.",
            "References dangle, totals do not add up, indexes miss rows.",
            as_noun="transaction seen in part",
        ),
        Term(
            "OTV",
            "Seen, then gone",
            "A transaction saw a write of another, and afterwards read something as it was before that other one.",
            "Within one transaction the database goes back in time.",
            as_noun="transaction that was seen and vanished",
        ),
        Term(
            "G-cursor",
            "Changed in between",
            "A transaction read a value and wrote it, and somebody else's write came in between.",
            "What was computed from the value that was read was computed from an old one.",
            as_noun="write in between a read and its write",
        ),
        Term(
            "prefix-violation",
            "Later commit seen, earlier one missed",
            "A transaction saw something that was committed later, and missed something that was committed before it.",
            "Backups, exports and reports hold a state that the database was never in.",
            as_noun="read that skipped an earlier commit",
        ),
        Term(
            "cycle-exists",
            "A contradiction",
            "There is a circle of transactions that this model forbids; its exact kind was not worked out in the "
            "time allowed.",
            "As bad as the mildest of the anomalies that this model forbids, possibly worse.",
            as_noun="contradiction",
        ),
        Term(
            "empty-transaction-graph",
            "Nothing to compare",
            "No two transactions touched the same data in a way that says which came first.",
            "This is no fault of the database: the run can't prove anything.",
            as_noun="record with nothing to compare",
        ),
        Term(
            "cycle-search-timeout",
            "Search cut off",
            "The search for contradictions ran out of its time.",
            "This is no fault of the database: part of the record is not judged.",
        ),
    )
}

SUFFIXES: dict[str, tuple[str, str]] = {
    "-realtime": (
        " in real time",
        " It is wrong only because of real time: because one operation had ended before another began.",
    ),
    "-process": (
        " within a session",
        " It is wrong only because of a client's own order: because it did one thing after another.",
    ),
    "-item": ("", ""),
}
"""Endings of Elle's names, and what each adds to the title and to the meaning."""

ALIASES: dict[str, str] = {
    "nonrecovery": "never-recovered",
    "no-recovery": "never-recovered",
    "not-recovered": "never-recovered",
    "non-linearizable": "nonlinearizable",
}

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("read-uncommitted", "Read uncommitted", "writes of different transactions are never mixed up"),
        Model("read-committed", "Read committed", "transactions see only what others have committed"),
        Model(
            "monotonic-atomic-view",
            "Monotonic atomic view",
            "once a transaction has seen part of another's work, it sees all of it from then on",
        ),
        Model(
            "cursor-stability",
            "Cursor stability",
            "what a transaction read and then writes back did not change between",
        ),
        Model("monotonic-view", "Monotonic view", "what a transaction has seen of others' work never shrinks"),
        Model("monotonic-snapshot-read", "Monotonic snapshot reads", "each statement reads one moment of the past"),
        Model("consistent-view", "Consistent view", "a transaction sees others' work whole or not at all"),
        Model(
            "forward-consistent-view", "Forward consistent view", "a transaction sees others' work whole or not at all"
        ),
        Model("read-atomic", "Read atomic", "a transaction sees all of another's writes or none"),
        Model(
            "update-atomic",
            "Update atomic",
            "a transaction sees all of another's writes or none, and no update is lost",
        ),
        Model(
            "update-serializable", "Update serializable", "transactions that write behave as if they ran one at a time"
        ),
        Model("causal-cerone", "Causal", "whoever sees an effect also sees its cause"),
        Model("causal", "Causal", "whoever sees an effect also sees its cause"),
        Model("prefix", "Consistent prefix", "every transaction sees a beginning of one common order of commits"),
        Model(
            "parallel-snapshot-isolation",
            "Parallel snapshot isolation",
            "every transaction reads a snapshot and no update is lost, though snapshots may disagree on the order",
        ),
        Model(
            "repeatable-read",
            "Repeatable read",
            "nobody changes a row that a transaction has read before that one has ended (in Adya's strict sense: what "
            "SQL databases call REPEATABLE READ is often less)",
        ),
        Model(
            "snapshot-isolation",
            "Snapshot isolation",
            "every transaction reads one moment of the past, and of two that change the same thing only one commits",
        ),
        Model(
            "serializable",
            "Serializable",
            "all transactions behave as if they had run one after the other, in some order",
        ),
        Model(
            "view-serializable", "View serializable", "every read can be explained by some order of the transactions"
        ),
        Model(
            "strong-session-snapshot-isolation",
            "Strong session snapshot isolation",
            "snapshot isolation, and each client sees its own earlier work",
        ),
        Model(
            "strong-session-serializable",
            "Strong session serializable",
            "serializable, and each client's own operations keep their order",
        ),
        Model(
            "strong-snapshot-isolation",
            "Strong snapshot isolation",
            "snapshot isolation, and every snapshot contains all that was committed before it began",
        ),
        Model(
            "strict-serializable",
            "Strict serializable",
            "all transactions behave as if they had run one after the other, in the order of real time",
        ),
        Model(
            "strong-serializable",
            "Strict serializable",
            "all transactions behave as if they had run one after the other, in the order of real time",
        ),
        Model(
            "linearizable",
            "Linearizable",
            "each value behaves as if there were one copy of it, changed and read one operation at a time, in "
            "real time",
        ),
        Model(
            "sequential",
            "Sequential",
            "all clients see one common order, in which each client's own operations keep theirs",
        ),
        Model("PRAM", "PRAM", "a client sees its own writes, keeps what it saw, and its writes keep their order"),
        Model("monotonic-reads", "Monotonic reads", "a client never sees time run backwards"),
        Model("monotonic-writes", "Monotonic writes", "a client's writes are seen in the order in which it made them"),
        Model("read-your-writes", "Read your writes", "a client sees what it wrote itself"),
        Model("writes-follow-reads", "Writes follow reads", "an answer is never seen without the question"),
    )
}

STRONGER: dict[str, str] = {
    "strong-session-": ", and each client sees its own earlier work",
    "strong-": ", and all that had ended before it began is seen",
}
"""Beginnings of models' names, and what each adds."""

EDGE_KINDS: dict[str, tuple[str, str]] = {
    "ww": ("overwritten by", "the first wrote a version that the second's write came after"),
    "wr": ("seen by", "the second read what the first wrote"),
    "rw": ("did not see", "the first read a version from before the second's write"),
    "process": ("same client, then", "one client did the first and, after it had ended, the second"),
    "realtime": ("ended before", "the first had ended before the second began"),
}
"""Kind of edge → what to write on the arrow, and what it means for the two at its ends."""


def term(name: str) -> Term:
    """The plain words for an anomaly as verdicts name it; for an unknown one, a term that says so."""
    base, suffix_meaning, suffix_title = name, "", ""
    if base not in ANOMALIES:
        for suffix in ("-realtime", "-process", "-item"):
            if base.endswith(suffix):
                base, suffix_meaning = base.removesuffix(suffix), SUFFIXES[suffix][1] + suffix_meaning
                suffix_title = SUFFIXES[suffix][0] + suffix_title
            if base in ANOMALIES:
                break
    base = ALIASES.get(base, base)
    if base.endswith("cycle-exists"):
        base = "cycle-exists"
    known = ANOMALIES.get(base)
    if known is None:
        return Term(
            name,
            name.replace("-", " ").capitalize(),
            "A violation that this checker names; see its sentence.",
            "",
            name,
        )
    noun = known.noun + suffix_title
    return Term(name, known.title + suffix_title, known.meaning + suffix_meaning, known.harm, noun)


def model(name: str) -> Model:
    """The plain words for a consistency model; for an unknown one, a model without a meaning."""
    if name in MODELS:
        return MODELS[name]
    title = name.replace("-", " ").capitalize()
    for prefix, more in STRONGER.items():
        if name.startswith(prefix) and (base := MODELS.get(name.removeprefix(prefix))):
            return Model(name, title, base.meaning + more)
    return Model(name, title, "")
