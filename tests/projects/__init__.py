"""Tests of `prediction/projects`."""
