"""Small specs, one for each kind of feature and one with all of them, for tests that need a catalog."""
