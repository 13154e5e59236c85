//! What every binary shares: run, configuration, telemetry, health, shutdown, HTTP errors and middleware.
