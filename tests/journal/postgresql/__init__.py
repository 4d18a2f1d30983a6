"""Tests of `prediction/journal/postgresql/`."""
