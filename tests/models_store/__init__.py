"""Tests of `models_store`."""
