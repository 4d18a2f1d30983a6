"""How fast it is, against what else one would use."""
