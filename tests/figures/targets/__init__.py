"""Tests of `prediction/figures/targets`."""
