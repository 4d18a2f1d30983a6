"""Tests of `prediction/journal/sqlite/`."""
