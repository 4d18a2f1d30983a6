"""Tests of `prediction/serving`."""
