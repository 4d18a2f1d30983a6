"""Formulas of a kind of target, one module a kind."""
