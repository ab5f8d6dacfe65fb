"""Latency tables as files: PaddleSlim's text formats, CSV, and packs of our own."""
