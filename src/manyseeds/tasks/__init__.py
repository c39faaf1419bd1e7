"""Tasks as data, free of any simulator: a folder each, an interface (`base`) and a registry."""
