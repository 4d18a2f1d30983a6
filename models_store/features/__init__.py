"""Kinds of features: one module a kind."""
