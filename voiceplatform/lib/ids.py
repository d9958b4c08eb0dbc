"""UUIDv7 primary keys, shown outside as prefixed TypeIDs such as `call_01h45…`."""

from uuid import UUID

import uuid_utils
from typeid import TypeID
from typeid.errors import TypeIDException
from uuid_utils.compat import uuid7 as _uuid7


class InvalidIdError(ValueError):
    """A public id that is malformed or has another kind's prefix."""


def uuid7() -> UUID:
    return _uuid7()


def to_public_id(prefix: str, value: UUID) -> str:
    return str(TypeID.from_uuid(prefix=prefix, suffix=uuid_utils.UUID(bytes=value.bytes)))


def from_public_id(prefix: str, public_id: str) -> UUID:
    """Raises InvalidIdError when `public_id` is not a `prefix` id."""
    try:
        typeid = TypeID.from_string(public_id)
    except TypeIDException as error:
        raise InvalidIdError(f"{public_id!r} is not an id") from error
    if typeid.prefix != prefix:
        raise InvalidIdError(f"{public_id!r} is not a {prefix}_… id")
    # The library has a UUID class of its own, which equals no other.
    return UUID(bytes=typeid.uuid.bytes)
