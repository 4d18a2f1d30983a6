"""From a spec and the journal's labels to a candidate and a verdict, in a process of its own."""
