"""The peers' applications: each runs in its peer's own environment, and imports nothing of ours."""
