"""Scoring of files and frames of any size, in this process or by a server: call `batch.score`."""

from prediction.batch.scoring import score

__all__ = ["score"]
