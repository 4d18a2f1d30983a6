"""The encoding of a file is found, or is the one that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from prediction.batch.formats import encodings

TEXT = "a,größe\n" + "x,1\n" * 300_000 + "é,2\n"


@pytest.mark.parametrize(
    ("encoding", "guessed"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_bytes_say_the_encoding(encoding: str, guessed: str, tmp_path: Path) -> None:
    """A mark, NUL, or whether the whole file is UTF-8: the last line may not be."""
    path = tmp_path / "rows.csv"
    path.write_bytes(TEXT.encode(encoding))

    assert guessed == encodings.guess(path)
    assert guessed.removesuffix("-sig") == encodings.of_file(path, guessed).removesuffix("-sig")


def test_what_is_no_text_has_no_encoding(tmp_path: Path) -> None:
    """And bytes that Windows-1252 does not have are Latin-1."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"PK\x03\x04\0\0\xff\xfe\0\0")
    assert encodings.guess(path) is None
    path.write_bytes(b"a,b\n\x81\xe9,1\n")
    assert "latin-1" == encodings.guess(path)


@pytest.mark.parametrize(
    ("encoding", "said", "expected"),
    [
        ("utf-8", "cp1252", "utf-8-sig"),
        ("cp1252", "cp1252", "cp1252"),
        ("cp1252", "utf-8", "utf-8-sig"),
        ("utf-16", "cp1252", "utf-16"),
        ("utf-8", "utf-16-le", "utf-8-sig"),
        ("utf-16-le", "utf-16-le", "utf-16-le"),
        ("mac_roman", "mac_roman", "mac_roman"),
    ],
)
def test_a_file_in_utf_8_is_read_as_utf_8_whatever_is_said(
    encoding: str, said: str, expected: str, tmp_path: Path
) -> None:
    """One that is not, and should be, is refused when it is read: nobody knows what it is."""
    path = tmp_path / "rows.csv"
    path.write_bytes("a,größe\né,1\n".encode(encoding))

    assert expected == encodings.of_file(path, said)
