"""Pure formulas: scores, the gate, drift. No I/O."""
