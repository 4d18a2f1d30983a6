"""Tests of `prediction/monitoring`."""
