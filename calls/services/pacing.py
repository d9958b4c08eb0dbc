"""When a trunk's next call may begin, so that no rolling second holds more calls than the carrier allows."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

LONGEST_WAIT_S: Final = 5.0
LEAD_S: Final = 0.15
"""A turn is at least so far ahead, because the call is written down as dialing before it comes."""
_MARGIN_S: Final = 0.15

_TAKE: Final = """
UPDATE calls_trunkpace AS pace
SET next_invite_at = GREATEST(pace.next_invite_at, clock_timestamp() + make_interval(secs => %(lead)s))
                     + make_interval(secs => %(second)s / trunk.cps)
FROM calls_siptrunk AS trunk
WHERE trunk.id = pace.trunk_id AND pace.trunk_id = %(trunk)s
  AND pace.next_invite_at <= clock_timestamp() + make_interval(secs => %(longest)s)
RETURNING EXTRACT(EPOCH FROM pace.next_invite_at - make_interval(secs => %(second)s / trunk.cps) - clock_timestamp())
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """`in_s`: seconds from the moment the database answered."""

    in_s: float


def take_turn(trunk_id: UUID) -> Turn | None:
    """The next moment at which a call may begin on the trunk, taken by one statement; None when it is too far ahead.

    Runs outside of transactions: whoever waits would hold up every other call of the trunk.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a turn is taken outside of transactions")
    values: dict[str, float | UUID] = {"lead": LEAD_S, "second": 1.0 + _MARGIN_S, "trunk": trunk_id, "longest": LONGEST_WAIT_S}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        row = cursor.fetchone()
    return Turn(in_s=max(0.0, float(row[0]))) if row else None
