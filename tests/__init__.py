"""The tests: a twin a module, and what only real servers can show."""
