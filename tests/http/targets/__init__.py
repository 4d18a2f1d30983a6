"""Tests of `prediction/http/targets`."""
