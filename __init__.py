"""etsim replays recorded PyTorch runs on hardware their owner does not have."""
