"""Several processes on one port; each hands connections to the one whose session they are for."""
