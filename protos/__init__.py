"""The contracts, and the Python generated from them."""
