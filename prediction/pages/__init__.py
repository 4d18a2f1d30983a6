"""Pages for people: the dashboard, its plots, the report."""
