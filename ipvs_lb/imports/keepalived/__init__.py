"""keepalived.conf: its text as lines, lines as statements, and the virtual servers that they declare."""
