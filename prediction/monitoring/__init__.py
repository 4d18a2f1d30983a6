"""How a model is doing: figures of a window of the journal, and the gauges of a scrape."""
