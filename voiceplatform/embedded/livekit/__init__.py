"""The LiveKit server of the embedded profile: found or built, configured, run."""
