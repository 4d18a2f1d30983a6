"""Tests of `models_store/imported`."""
