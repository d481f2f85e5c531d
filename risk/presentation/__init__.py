"""What the live pages show: risk objects turned into parts and cells, for template and socket."""
