"""Tests of `prediction/batch/formats`."""
