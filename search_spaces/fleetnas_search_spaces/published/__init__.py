"""Published tables that spaces need to read codes."""
