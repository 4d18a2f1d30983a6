"""Tests of `prediction/batch`."""
