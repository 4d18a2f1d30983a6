"""The parser of the body of a request to upgrade."""

from __future__ import annotations

from prediction.network import upgrades


class Kept:
    """Keeps what a parser tells."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def on_body(self, body: bytes) -> None:
        self.told.append(body)

    def on_message_complete(self) -> None:
        self.told.append(b"end")


def test_only_the_framing_of_a_head_is_kept() -> None:
    """A request without it has no body."""
    headers = [(b"host", b"x"), (b"content-length", b"3"), (b"upgrade", b"h2c")]

    assert b"content-length: 3\r\n" == upgrades.framing(headers)
    assert b"" == upgrades.framing(headers[:1])


def test_one_body_is_told_and_nothing_behind_it() -> None:
    """Also if what follows looks like a request."""
    kept = Kept()
    parser = upgrades.body_parser(kept)
    head = upgrades.head(b"content-length: 3\r\n")
    parser.feed_data(head + b"ab")
    parser.feed_data(b"c" + head + b"def")

    assert [b"ab", b"c", b"end"] == kept.told
