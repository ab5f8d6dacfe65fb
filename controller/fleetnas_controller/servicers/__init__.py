"""gRPC over the fleet: each servicer translates and decides nothing."""
