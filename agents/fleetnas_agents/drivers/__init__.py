"""How an agent reaches each kind of device."""
