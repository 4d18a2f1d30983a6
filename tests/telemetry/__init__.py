"""Tests of `prediction/telemetry`."""
