"""Places of runs: what is listed, what is read, and what is written whole or not at all."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from pyarrow import parquet, table

from models_store.errors import InvalidInput
from prediction.batch.bulk import places
from prediction.batch.bulk.places import InputFile, OutputFolder

NAMES = (
    "in/b.csv",
    "in/a.csv",
    "in/a b%20[1].csv",
    "in/day=1/c.csv",
    "in/day=1/deep/d.csv",
    "in/_SUCCESS",
    "in/.hidden.csv",
    "in/_temporary/e.csv",
    "other/f.csv",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A place with files of `NAMES`."""
    folder = tmp_path_factory.mktemp("places")
    for name in NAMES:
        output, _, file = name.rpartition("/")
        OutputFolder(f"{folder}/{output}").put(file, name.encode())
    return str(folder)


def names(root: str, *patterns: str) -> list[str]:
    """Return the files that patterns find, below the root."""
    return [
        file.url.removeprefix(f"{root}/") for file in places.find([f"{root}/{each}" for each in patterns])
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("in/a.csv", ["in/a.csv"]),
        ("in/a b%20[1].csv", ["in/a b%20[1].csv"]),
        ("in", ["in/a b%20[1].csv", "in/a.csv", "in/b.csv", "in/day=1/c.csv", "in/day=1/deep/d.csv"]),
        ("in/*.csv", ["in/a b%20[1].csv", "in/a.csv", "in/b.csv"]),
        ("in/[!b].csv", ["in/a.csv"]),
        ("in/[ab].csv", ["in/a.csv", "in/b.csv"]),
        ("in/?.csv", ["in/a.csv", "in/b.csv"]),
        ("in/*/c.csv", ["in/day=1/c.csv"]),
        ("in/day=?/*", ["in/day=1/c.csv"]),
        ("in/**/d.csv", ["in/day=1/deep/d.csv"]),
        ("*/[af].csv", ["in/a.csv", "other/f.csv"]),
        ("in/day=1/**", ["in/day=1/c.csv", "in/day=1/deep/d.csv"]),
    ],
)
def test_files_are_listed_in_order(root: str, pattern: str, found: list[str]) -> None:
    """Hidden files and names that begin with an underscore are left out."""
    assert found == names(root, pattern)


def test_a_file_that_is_named_twice_counts_once(root: str) -> None:
    """The first place counts."""
    assert ["in/b.csv", "in/a b%20[1].csv", "in/a.csv"] == names(root, "in/b.csv", "in/*.csv")


@pytest.mark.parametrize("pattern", ["a\nb*", "a\n?.csv", "a?b.csv", "a[\n]*"])
def test_a_name_may_hold_a_lines_end(pattern: str, tmp_path: Path) -> None:
    """In the pattern, too."""
    (tmp_path / "a\nb.csv").touch()
    (tmp_path / "ab.csv").touch()

    assert [f"{tmp_path}/a\nb.csv"] == [each.url for each in places.find([tmp_path / pattern])]


@pytest.mark.parametrize(
    "pattern", ["in/x.csv", "in/x*.csv", "in/x/", "in/_temp*/*", "in/x[z-a].csv", "in/x[].csv", "in/x[!].*"]
)
def test_nothing_found_is_one_sentence(root: str, pattern: str) -> None:
    """It names what was asked for."""
    with pytest.raises(InvalidInput, match=r"in/(x|_temp)"):
        names(root, pattern)


def test_names_that_no_plan_can_hold_are_refused(tmp_path: Path) -> None:
    """Names of files are bytes, which need not be text."""
    name = os.fsdecode(b"caf\xe9.csv")
    (tmp_path / name).touch()

    for call in (
        lambda: places.find([tmp_path]),
        lambda: places.find([tmp_path / name]),
        lambda: OutputFolder(tmp_path / name),
    ):
        with pytest.raises(InvalidInput, match=r"caf\\udce9\.csv: the name is not UTF-8: rename it"):
            call()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    """A file must not be left out silently."""
    (tmp_path / "rows.csv.gz").touch()
    (tmp_path / "a.csv").touch()

    with pytest.raises(InvalidInput, match=r"rows\.csv\.gz: the name must end with .*folder/\*\.csv"):
        places.find([tmp_path])
    assert [f"{tmp_path}/a.csv"] == [each.url for each in places.find([tmp_path / "*.csv"])]


def test_of_another_run_only_the_parts_are_rows(tmp_path: Path) -> None:
    """Its plan, its reports and its refused rows are not."""
    for name in ("plan.json", "part-00000.parquet", "part-00000.json", "refused.csv", "summary.json"):
        (tmp_path / name).touch()

    assert [f"{tmp_path}/part-00000.parquet"] == [each.url for each in places.find([tmp_path])]


@pytest.mark.parametrize(
    "url",
    ["http://host/a.csv", "s3://key:secret-1@bucket/a.csv", "s3://", "s3:///a.csv", "ftp://host/secret-1"],
)
def test_other_urls_are_refused(url: str) -> None:
    """The message shows no part of it, because it may hold a password."""
    for use in (lambda: places.find([url]), lambda: OutputFolder(url)):
        with pytest.raises(InvalidInput, match=r"must be s3://bucket/key") as caught:
            use()
        assert "secret-1" not in str(caught.value)


def test_a_file_url_is_a_path(root: str) -> None:
    """Percent signs are read as in every such URL."""
    found = places.find([f"file://{root}/in/a%20b%2520%5B1%5D.csv", f"file://{root}/in/b.csv"])
    assert ["a b%20[1].csv", "b.csv"] == [Path(each.url).name for each in found]


def test_ranges_are_files(root: str) -> None:
    """They can be read as any file, from any place of theirs."""
    (file,) = places.find([f"{root}/in/a.csv"])
    with file.open() as whole:
        assert b"in/a.csv" == whole.read()
    file = pickle.loads(pickle.dumps(file))
    with file.open(3, 6) as part:
        assert b"a.c" == part.read()
        assert 1 == part.seek(-2, os.SEEK_END)
        assert b".c" == part.read(10)
        assert b"" == part.read(1)
    with file.open(3, 1_000) as part:
        assert [b"a.csv"] == list(part)


def test_parquet_is_read_by_ranges(tmp_path: Path) -> None:
    """A row group comes as it was written."""
    OutputFolder(tmp_path).put("note.csv", b"")
    rows = table({"x": list(range(10_000)), "y": ["text"] * 10_000})
    parquet.write_table(rows, tmp_path / "rows.parquet", row_group_size=1_000)
    (file,) = places.find([tmp_path / "rows.parquet"])

    with file.open() as opened, parquet.ParquetFile(opened, pre_buffer=True) as read:
        assert rows.slice(3_000, 1_000) == read.read_row_group(3)


def changes(path: Path) -> None:
    """Make a file another one of the same size."""
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(1, 1))


def test_a_file_that_has_changed_is_not_read(tmp_path: Path) -> None:
    """Neither from the beginning nor from the middle on."""
    (tmp_path / "a.csv").write_bytes(b"x" * 1_000_000)
    (file,) = places.find([tmp_path / "a.csv"])
    opened = file.open()
    assert b"x" == opened.read(1)
    changes(tmp_path / "a.csv")

    with opened, pytest.raises(InvalidInput, match=r"a\.csv has changed since the run began"):
        opened.read()
    with file.open() as again, pytest.raises(InvalidInput, match=r"a\.csv has changed"):
        again.read(1)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(InvalidInput, match=r"a\.csv is gone"):
        file.open()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """After an exception the older one is there, and no draft."""
    output = OutputFolder(tmp_path / "out")
    assert {} == output.list()
    assert output.read("a") is None
    output.put("a", b"first")
    with suppress(ZeroDivisionError), output.draft("a") as path:
        path.write_bytes(b"sec")
        raise ZeroDivisionError

    assert b"first" == output.read("a")
    with output.draft("a") as path:
        path.write_bytes(b"second")
    assert {"a": 6} == output.list()
    assert [] == list((tmp_path / "out" / ".drafts").iterdir())
    output.delete("a")
    output.delete("a")
    assert {} == output.list()


def test_of_two_writers_one_creates(tmp_path: Path) -> None:
    """The other one changes nothing."""
    output = OutputFolder(tmp_path)

    assert output.create("plan.json", b"mine")
    assert not output.create("plan.json", b"another")
    assert b"mine" == output.read("plan.json")


def test_an_output_knows_what_lies_in_it(tmp_path: Path) -> None:
    """Links lead to the same place."""
    (tmp_path / "link").symlink_to(tmp_path / "out")
    inside, beside = f"{tmp_path}/out/a.csv", f"{tmp_path}/out2/a.csv"

    for output in (
        OutputFolder(tmp_path / "out"),
        OutputFolder(tmp_path / "link"),
        OutputFolder(f"file://{tmp_path}/out/"),
    ):
        assert output.holds(InputFile(inside, 0, ""))
        assert not output.holds(InputFile(beside, 0, ""))
    assert OutputFolder("s3://bucket/out").holds(InputFile("s3://bucket/out/a.csv", 0, ""))
    assert not OutputFolder("s3://bucket/out").holds(InputFile("s3://bucket/out2/a.csv", 0, ""))


def test_an_output_may_lie_in_what_is_read_by_a_link(tmp_path: Path) -> None:
    """Whether the link is to what is read or to what is written."""
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")

    assert OutputFolder(tmp_path / "in" / "out").lies_in(tmp_path / "link")
    assert OutputFolder(tmp_path / "link" / "out").lies_in(tmp_path / "in")
    assert not OutputFolder(tmp_path / "link" / "out").lies_in(tmp_path / "in" / "*.csv")
    assert not OutputFolder(tmp_path / "out").lies_in(tmp_path / "link")


@pytest.mark.parametrize(
    ("output", "name", "expected"),
    [
        ("/in", "/in", True),
        ("/in/out", "/in", True),
        ("/in/out", "/in/*", False),
        ("/in/out", "/in/**/*.parquet", True),
        ("/in/out", "/in/*/*.parquet", True),
        ("/in/out", "/in/**/*.csv", False),
        ("/inner", "/in", False),
        ("/out", "/in", False),
        ("s3://bucket/in/out", "s3://bucket", True),
        ("s3://bucket/out", "s3://bucket/in/", False),
    ],
)
def test_an_output_may_lie_in_what_is_read(output: str, name: str, expected: bool) -> None:
    """Then its parts would be read, too."""
    assert expected == OutputFolder(output).lies_in(name)
