"""How an API speaks OAuth 2: reading `oauth2Config`, with the ways in which APIs differ."""
