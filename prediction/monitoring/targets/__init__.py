"""Figures of a window that depend on the target, one module a kind."""
