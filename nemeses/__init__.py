"""What goes wrong: one file a family of faults.

`NEMESES` holds one of each by the kind that `--faults` names. Faults that only one database knows are its target's own.
"""

from nemeses.base import Nemesis
from nemeses.clock import Clock
from nemeses.membership import Membership
from nemeses.partition import Partition
from nemeses.process import Kill, Pause
from nemeses.stall import Stall

NEMESES: dict[str, Nemesis] = {
    nemesis.kind: nemesis for nemesis in (Partition(), Kill(), Pause(), Clock(), Stall(), Membership())
}
