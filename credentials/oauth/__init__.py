"""OAuth 2 as pure functions: what to ask an authorization server, and what its answers mean.

Nothing here sends anything or knows what time it is. `profile` reads what a definition and an
instance say, `authorization` begins and ends a visit to the server, `requests` makes the requests,
`answers` reads what comes back, `discovery` the server's description of itself.
"""
