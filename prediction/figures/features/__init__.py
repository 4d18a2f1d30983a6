"""Kinds of features in figures: one module a kind."""
