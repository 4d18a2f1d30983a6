"""Tests of `prediction/figures`."""
