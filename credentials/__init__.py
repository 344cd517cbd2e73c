"""Who we are when we call: secrets of instances, and requests authorized with them."""
