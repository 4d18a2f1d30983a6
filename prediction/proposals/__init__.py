"""Proposals of specs: what a table or a model says of itself, written as a file of the catalog."""
