"""Tests of `prediction/batch/targets`."""
