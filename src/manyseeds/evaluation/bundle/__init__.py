"""A policy as a folder for others: network, model card, provenance, film and a control loop."""
