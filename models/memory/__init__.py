"""What a run's tensors take on a device, and how a what-if changes it."""
