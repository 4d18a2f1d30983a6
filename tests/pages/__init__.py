"""Tests of `prediction/pages`."""
