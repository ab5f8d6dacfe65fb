"""Phones without an agent: a page in their browser speaks the agents' messages over a WebSocket."""
