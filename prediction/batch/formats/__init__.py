"""The formats of files that are read: each splits a file into chunks."""
