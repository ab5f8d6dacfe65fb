"""Cores held at one frequency while an agent measures."""
