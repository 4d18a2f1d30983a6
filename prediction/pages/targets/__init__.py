"""What pages show of a target, one module a kind; the templates have a file for each too."""
