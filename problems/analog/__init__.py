"""What does analog hardware hold? Networks of oscillators, and topologies fixed before training."""
