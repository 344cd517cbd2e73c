"""What can be called: definitions of APIs and the tenants' instances of them."""
