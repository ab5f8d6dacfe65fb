"""The commands of `fleetnas`, one module a group."""
