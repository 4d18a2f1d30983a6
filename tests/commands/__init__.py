"""Tests of `prediction/commands`."""
