"""Tests of `prediction/artifacts`."""
