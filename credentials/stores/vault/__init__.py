"""Secrets in HashiCorp Vault or OpenBao: its key-value engine, version 2.

options     where the server is and how we log in
answers     what each of its answers means
wire        one request over HTTP, hvac's methods made awaitable
breaker     silence while the server is sealed or hangs
pacing      as many requests a second as the server's quota lets through
login       how a token is got: AppRole, Kubernetes, or given
session     our token, from login to revocation
connection  one call with all of that around it
fitness     what has to be set up there before we start
store       the `SecretStore`
transit     sealing without the server, opening with it
"""
