"""Tests of `prediction/http`."""
