"""The parts of the main job, :mod:`jobs.sensor_anomaly`."""
