"""What runs networks on this machine: one file for each runtime, behind ``runtime.Runtime``."""
