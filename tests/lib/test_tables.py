"""CSV in and out."""

from io import BytesIO

import pytest

from voiceplatform.lib.tables import LONGEST_LINE, TableError, read_table, write_table


def read(content: bytes) -> list[list[str]]:
    table = read_table(BytesIO(content))
    return [table.header, *table.rows]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        (b"\xef\xbb\xbfa;b;;\r\n1;2,5\r\n", [["a", "b"], ["1", "2,5"]]),
        (b'a\tb\n"x\ny"\t""', [["a", "b"], ["x\ny", ""]]),
        (b"a\n\n1", [["a"], [], ["1"]]),
    ],
)
def test_tables_of_every_spreadsheet_are_read(content: bytes, rows: list[list[str]]) -> None:
    assert read(content) == rows


@pytest.mark.parametrize("content", [b"", b"\n", b"a\n\x00", b"a\n\xff", b"\xff\xfea\x00", b'a\n"x', b"a" * (LONGEST_LINE + 1)])
def test_what_is_no_table_is_refused(content: bytes) -> None:
    with pytest.raises(TableError):
        read(content)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_nothing_is_taken_for_a_formula(cell: str) -> None:
    written = b"".join(write_table(["a", "b"], [[cell, 5]]))
    assert read(written)[1] == ["'" + cell, "5"]
