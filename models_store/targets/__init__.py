"""Kinds of targets: what a model predicts, one module a kind."""
