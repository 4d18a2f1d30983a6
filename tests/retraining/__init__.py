"""Tests of `prediction/retraining`."""
