"""How many requests a key, and all keys of its tenant together, may make in a minute: counted in Redis."""

from dataclasses import dataclass
from functools import cache
from time import monotonic, time
from typing import Final

import structlog
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from tenants.caller import Caller
from voiceplatform.lib.api.problems import Refusal, declare

WINDOW_S: Final = 60
TIMEOUT_S: Final = 0.25
# After a failure Redis is left alone for this long, so that a hanging one does not slow every request.
REST_S: Final = 2.0
UNAVAILABLE: Final = declare(
    "rate_limit_unavailable", "Requests that cost money are refused for the moment; try again as Retry-After says."
)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The tighter of a key's and its tenant's limit, after this request."""

    limit: int
    remaining: int
    resets_in_s: int

    @property
    def is_exceeded(self) -> bool:
        return self.remaining < 0

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.remaining)),
            "RateLimit-Reset": str(self.resets_in_s),
        }


class _Rest:
    until = 0.0


@cache
def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S)


def count_request(caller: Caller, *, costs_money: bool) -> Allowance | None:
    """Count one request; None when Redis is away and the request may pass uncounted.

    Raises Refusal when Redis is away and the request costs money.
    """
    if monotonic() >= _Rest.until:
        try:
            return _count(caller)
        except (RedisError, OSError) as error:
            _Rest.until = monotonic() + REST_S
            logger.warning("requests are not counted", error=str(error))
    if costs_money:
        detail = "Rate limits cannot be checked at the moment, so nothing that costs money is begun."
        raise Refusal(503, UNAVAILABLE, detail, headers={"Retry-After": "5"})
    return None


def _count(caller: Caller) -> Allowance:
    now = time()
    window = int(now // WINDOW_S)
    limits = {f"api:{caller.key_id}:{window}": caller.per_minute, f"api:{caller.home_id}:{window}": caller.tenant_per_minute}
    with _client(settings.REDIS_URL).pipeline(transaction=False) as pipeline:
        for name in limits:
            pipeline.incr(name)
            pipeline.expire(name, 2 * WINDOW_S)
        counts = pipeline.execute()[::2]
    left = [(limit - int(used), limit) for limit, used in zip(limits.values(), counts, strict=True)]
    remaining, limit = min(left)
    return Allowance(limit=limit, remaining=remaining, resets_in_s=int((window + 1) * WINDOW_S - now) + 1)
