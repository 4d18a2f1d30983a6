"""Kinds of features in files and frames: one module a kind."""
