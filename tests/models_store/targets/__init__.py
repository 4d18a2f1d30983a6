"""Tests of `models_store/targets`."""
