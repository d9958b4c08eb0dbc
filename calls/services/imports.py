"""Lists of leads and of numbers not to call, read from a table and stored by a job."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time
from itertools import islice
from typing import IO, Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from calls.models import Lead, Suppression
from calls.services import people
from calls.services.people import CREATED, UNCHANGED, UPDATED, Upserted
from tenants.jobs import LEADS, SUPPRESSIONS, Handler, Outcome, Problem, Step
from tenants.models import Job, User
from tenants.services.jobs import create_job, stored_steps
from voiceplatform.lib.metadata import LONGEST_KEY, LONGEST_VALUE, MOST_METADATA
from voiceplatform.lib.tables import TableError, read_table

PIECE: Final = 200
MOST_ROWS: Final = 500_000
METADATA: Final = "metadata."
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    LEADS: ("phone", "name", "email", "timezone", "language"),
    SUPPRESSIONS: ("phone", "reason", "source", "expires_at"),
}
EXAMPLES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    LEADS: (
        (*COLUMNS[LEADS], "metadata.crm_id"),
        ("+12125550123", "Ada Park", "ada@example.com", "America/New_York", "en", "4711"),
        ("+4930123456", "Ben Kurz", "", "", "de", "4712"),
    ),
    SUPPRESSIONS: (
        COLUMNS[SUPPRESSIONS],
        ("+12125550123", "Asked by e-mail", "customer", ""),
        ("+4930123456", "On last year's list", "import", "2030-12-31"),
    ),
}
Build = Callable[[dict[str, str]], Any]
Store = Callable[[list[Any], User | None], list[Upserted]]


@transaction.atomic
def begin_import(*, kind: str, file: IO[bytes], actor: User | None = None) -> Job:
    """Take a table of leads or of numbers not to call; a job stores it row by row.

    Its first row names the columns as in the API, metadata by `metadata.` and the key. Raises ValidationError for
    `file` when it cannot be read or has other columns.
    """
    try:
        table = read_table(file)
        columns = _checked_columns(kind, [name.lower() if "." not in name else name for name in table.header])
        return create_job(kind=kind, options={"columns": columns}, pieces=_pieces(table.rows), actor=actor)
    except TableError as error:
        raise ValidationError({"file": str(error)}) from error


def _checked_columns(kind: str, names: list[str]) -> list[str]:
    known = ", ".join(COLUMNS[kind]) + (", metadata.<key>" if kind == LEADS else "")
    own = [name for name in names if kind == LEADS and name.startswith(METADATA)]
    if strange := [name[:60] or "(empty)" for name in names if name not in COLUMNS[kind] and name not in own]:
        raise TableError(f"There is no column {', '.join(strange[:5])}. Known: {known}.")
    if twice := [name[:60] for name, count in Counter(names).items() if count > 1]:
        raise TableError(f"The header names {', '.join(twice[:5])} twice.")
    if "phone" not in names:
        raise TableError(f"The header must name the column phone. Known: {known}.")
    if len(own) > MOST_METADATA or not all(1 <= len(name) - len(METADATA) <= LONGEST_KEY for name in own):
        raise TableError(f"At most {MOST_METADATA} columns of metadata, each with a key of 1 to {LONGEST_KEY} characters.")
    return names


def _pieces(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    piece, count = list(islice(rows, PIECE)), 0
    if not piece:
        raise TableError("There is no row below the header.")
    while piece:
        count += len(piece)
        if count > MOST_ROWS:
            raise TableError(f"There are more than {MOST_ROWS:,} rows. Split the file.")
        yield piece
        piece = list(islice(rows, PIECE))


def _importer(build: Build, store: Store) -> Handler:
    def apply(job: Job, step: Step) -> Outcome:
        built: dict[int, Any] = {}
        results: dict[int, Upserted] = {}
        # A spreadsheet's first row is the header.
        for number, cells in enumerate(step.work, start=job.done + 2):
            try:
                if values := _values(job.options["columns"], cells):
                    built[number] = build(values)
            except ValidationError as error:
                results[number] = error
        results |= zip(built, store(list(built.values()), job.created_by), strict=True)
        counts = Counter(result for result in results.values() if isinstance(result, str))
        problems = [_problem(number, each) for number, each in sorted(results.items()) if isinstance(each, ValidationError)]
        empty = len(step.work) - len(results)
        return Outcome({name: counts[name] for name in (CREATED, UPDATED, UNCHANGED)} | {"empty": empty}, problems)

    return Handler(steps=stored_steps, apply=apply)


def _values(columns: list[str], cells: list[str]) -> dict[str, str]:
    """What a row says; an empty cell says nothing. Raises ValidationError."""
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise ValidationError(f"The row has {len(cells)} cells, and the header {len(columns)}.")
    values = {name: text for name, cell in zip(columns, cells, strict=False) if (text := cell.strip())}
    if values and "phone" not in values:
        raise ValidationError({"phone": "The number is missing."})
    return values


def _problem(number: int, error: ValidationError) -> Problem:
    if not hasattr(error, "error_dict"):
        return Problem(number, "", error.messages[0])
    name, messages = next(iter(error.message_dict.items()))
    return Problem(number, name, messages[0])


def _lead(values: dict[str, str]) -> Lead:
    own = {name.removeprefix(METADATA): value for name, value in values.items() if name.startswith(METADATA)}
    if long := [key for key, value in own.items() if len(value) > LONGEST_VALUE]:
        raise ValidationError({f"{METADATA}{long[0]}": f"At most {LONGEST_VALUE} characters."})
    return Lead(metadata=own, **{name: value for name, value in values.items() if not name.startswith(METADATA)})


def _store_leads(leads: list[Lead], actor: User | None) -> list[Upserted]:
    return people.upsert_leads(wanted=leads, actor=actor)


def _suppression(values: dict[str, str]) -> Suppression:
    row = Suppression(
        phone=values["phone"],
        reason=values.get("reason", ""),
        source=values.get("source", Suppression.Source.IMPORT).lower(),
        expires_at=_moment(values["expires_at"]) if "expires_at" in values else None,
    )
    people.check_suppression(row, timezone.now())
    return row


def _store_suppressions(rows: list[Suppression], actor: User | None) -> list[Upserted]:
    done = people.suppress_all(wanted=rows, actor=actor)
    return [CREATED if each.was_new else UPDATED if each.was_extended else UNCHANGED for each in done]


def _moment(text: str) -> datetime:
    """A date ends with its last moment; without a zone, UTC is meant, as in the API."""
    try:
        if day := parse_date(text):
            return datetime.combine(day, time.max, tzinfo=UTC)
        if found := parse_datetime(text):
            return found if timezone.is_aware(found) else found.replace(tzinfo=UTC)
    except ValueError:
        pass
    raise ValidationError({"expires_at": "Write it as 2030-12-31 or 2030-12-31T18:00:00Z."})


IMPORT_LEADS: Final = _importer(_lead, _store_leads)
IMPORT_SUPPRESSIONS: Final = _importer(_suppression, _store_suppressions)
