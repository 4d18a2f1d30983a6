"""Tests of `prediction/imports`."""
