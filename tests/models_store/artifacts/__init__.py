"""Tests of `models_store/artifacts`."""
