"""The peers that execute is measured against; each is a program of its own."""
