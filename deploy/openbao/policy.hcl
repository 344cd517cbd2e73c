# What the credential service may do in the Vault, and nothing else. Mounts and prefix are those of
# INTEGRATION_VAULT_MOUNT, …_PREFIX and …_TRANSIT_MOUNT.

# Records. No list: whoever takes the token learns no tenant's name.
path "integration/data/t/*" {
  capabilities = ["create", "read", "update"]
}

# Deleting credentials destroys their data in every version; the numbers of the versions stay.
path "integration/metadata/t/*" {
  capabilities = ["read"]
}
path "integration/destroy/t/*" {
  capabilities = ["update"]
}

# Looked at once at the start: check-and-set has to be required.
path "integration/config" {
  capabilities = ["read"]
}

# The spool of token answers: sealed here with the public key, opened there.
path "transit/keys/integration-spool" {
  capabilities = ["read"]
}
path "transit/decrypt/integration-spool" {
  capabilities = ["update"]
}

# Our own token. The default policy has these too; this one has to be enough without it.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/mounts/integration" {
  capabilities = ["read"]
}
