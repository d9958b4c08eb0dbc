"""Tables as CSV: reading what people's spreadsheets write, and writing what is safe to open in one."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

DELIMITERS: Final = (",", ";", "\t")
MOST_COLUMNS: Final = 100
LONGEST_LINE: Final = 100_000
_BOM: Final = b"\xef\xbb\xbf"
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_SAVE_AS: Final = "Save it as “CSV UTF-8” and send it again."
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class TableError(ValueError):
    """The file is no table that can be read; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """`header` has the names as written. `rows` reads on as it is asked and raises TableError."""

    header: list[str]
    rows: Iterator[list[str]]


def read_table(file: IO[bytes]) -> Table:
    """A table in UTF-8, with or without BOM, whose columns are separated by comma, semicolon or tab. Raises TableError."""
    first = file.readline(LONGEST_LINE + 1)
    if first.startswith(_WIDE):
        raise TableError(f"The file is in UTF-16. {_SAVE_AS}")
    first = first.removeprefix(_BOM)
    if not first.strip():
        raise TableError("The first line is empty; it must name the columns.")
    found = Counter(character for character in _text(first, 1) if character in DELIMITERS)
    delimiter = found.most_common(1)[0][0] if found else ","
    records = _records(_lines(first, file), delimiter)
    header = [name.strip() for name in next(records)]
    while header and not header[-1]:
        header.pop()
    if len(header) > MOST_COLUMNS:
        raise TableError(f"The header has {len(header):,} columns; the most are {MOST_COLUMNS}.")
    return Table(header=header, rows=records)


def write_table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, formulas: bool = False) -> Iterator[bytes]:
    """The lines of a CSV file that spreadsheets read as UTF-8. Unless `formulas`, no cell is taken for a formula."""
    yield _BOM + _line(header, formulas=formulas)
    for cells in rows:
        yield _line(cells, formulas=formulas)


def _line(cells: Sequence[Any], *, formulas: bool) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells if formulas else [_safe(cell) for cell in cells])
    return out.getvalue().encode()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _lines(first: bytes, file: IO[bytes]) -> Iterator[str]:
    number, line = 1, first
    while line:
        yield _text(line, number)
        number, line = number + 1, file.readline(LONGEST_LINE + 1)


def _text(line: bytes, number: int) -> str:
    if len(line) > LONGEST_LINE:
        raise TableError(f"Line {number:,} has more than {LONGEST_LINE:,} bytes.")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise TableError(f"Line {number:,} is not UTF-8. {_SAVE_AS}") from error
    if "\x00" in text:
        raise TableError(f"Line {number:,} has the character U+0000, so this is no text file.")
    return text


def _records(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise TableError(f"Line {reader.line_num:,} cannot be read as CSV: {error}.") from error
        if record is None:
            return
        yield record
