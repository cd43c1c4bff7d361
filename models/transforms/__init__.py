"""What-ifs: pure functions from a scenario to a scenario, one a file, composed in order."""
