"""Kinds of features on pages: one module a kind."""
