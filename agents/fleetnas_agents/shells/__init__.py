"""Ways to move files to a device and run commands on it."""
