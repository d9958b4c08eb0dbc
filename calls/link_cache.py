"""Signed links to stored files, made once and handed out for a part of their life.

Whoever asks is authorised anew each time; only the signing, which may cost a request to Google, is spared.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from threading import Lock
from time import monotonic
from typing import Final

HOLDS: Final = timedelta(minutes=10)
"""The life of a link from its signing."""
KEPT_S: Final = 300.0
_MOST: Final = 2000
Key = tuple[str, ...]

_links: OrderedDict[Key, tuple[float, str]] = OrderedDict()
_lock = Lock()


def signed(key: Key, sign: Callable[[], str], *, now: Callable[[], float] = monotonic) -> str:
    """The link known by `key`, which names the tenant and the file as it is now, or a new one."""
    with _lock:
        known = _links.get(key)
        if known and now() - known[0] < KEPT_S:
            return known[1]
    # Not under the lock: it may take seconds.
    link, at = sign(), now()
    with _lock:
        _links[key] = (at, link)
        _links.move_to_end(key)
        while len(_links) > _MOST:
            _links.popitem(last=False)
    return link


def forget() -> None:
    with _lock:
        _links.clear()
