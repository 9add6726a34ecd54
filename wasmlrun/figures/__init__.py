"""What a result's rows say together: accuracy, calibration, confusion, latency, differences."""
