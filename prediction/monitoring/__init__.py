"""Monitoring: figures of a window of the journal, and the gauges of a scrape."""
