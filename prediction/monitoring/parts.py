"""What a window has of one version: its counts, its sums and a sample of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models_store.spec import Spec
from prediction.journal.rollups import Count, Total
from prediction.journal.samples import Sampled


@dataclass(frozen=True)
class Part:
    """What a window has of one version."""

    spec: Spec
    home: Path
    version: str
    counted: list[Count]
    totals: list[Total]
    sample: list[Sampled]


@dataclass(frozen=True)
class Span:
    """The pieces of a window: they begin at `since_us`, one each `bucket_us`, before `until_us`."""

    since_us: int
    until_us: int
    bucket_us: int

    def pieces(self) -> range:
        """Return when each piece begins."""
        return range(self.since_us, self.until_us, self.bucket_us)

    def piece(self, at_us: int) -> int:
        """Return when the piece of a time begins."""
        return at_us // self.bucket_us * self.bucket_us
