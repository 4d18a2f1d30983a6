"""Versions that travel: the store that hosts share, and what a home gives to it and gets from it."""
