"""Tests of the proposals of specs."""
