"""Tests of `prediction/journal`."""
