"""What the service tells operators about single requests: log lines, and spans of traces."""
