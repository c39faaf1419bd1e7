"""Tables, figures and pages, made from CSV files and config.json."""
