# One OpenBao server for docker compose: data on disk, unsealed by a key in a file, an audit log.
# For production see docs/vault.md: three nodes, TLS, and a seal that a KMS or an HSM opens.

storage "raft" {
  path                   = "/openbao/file"
  node_id                = "openbao"
  performance_multiplier = 1
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "127.0.0.1:8201"
  tls_disable     = true
}

api_addr     = "http://openbao:8200"
cluster_addr = "http://127.0.0.1:8201"

seal "static" {
  current_key_id = "compose"
  current_key    = "file:///seal/key"
}

# Secrets stand in it as keyed hashes. A server that cannot write it answers nothing.
audit "file" "to-file" {
  options {
    file_path = "/openbao/logs/audit.log"
  }
}
