"""Commands for one's own models: a project, a spec of a table, checks, a fitted model."""
