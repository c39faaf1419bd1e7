"""Event files to tables: read every scalar of a run's log, and aggregate runs over seeds."""
