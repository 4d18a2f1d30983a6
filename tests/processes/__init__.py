"""Tests of `prediction/network`."""
