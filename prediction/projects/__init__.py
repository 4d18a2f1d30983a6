"""Projects of their own: the folder that `loop init` makes, and the installed code in its Bento."""
