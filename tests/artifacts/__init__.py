"""The tests of the shared store of versions."""
