"""Commands that write files: a project, and a model of a table."""
