"""Tests of `prediction/monitoring/targets`."""
