"""Programs that a user could have written: they import tierflow's public names only."""
