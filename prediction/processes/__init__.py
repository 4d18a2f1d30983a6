"""The processes of a server: how workers end, with the server's process and after a signal."""
