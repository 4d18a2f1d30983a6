"""Models that were trained elsewhere, from their file to a candidate."""
