"""Tests of `prediction/commands/authoring`."""
