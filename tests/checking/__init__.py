"""Tests of `prediction/checking`."""
