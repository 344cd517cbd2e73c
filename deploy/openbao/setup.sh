#!/bin/sh
# Sets OpenBao up for the credential service. Run it as often as you like: what is there stays.
#
#   setup.sh seal-key   before the server starts for the first time: makes the key it unseals with
#   setup.sh            once the server runs: mounts, policy, role, transit key; writes role id and
#                       secret id for the credential service
#
# BAO_ADDR     where the server is
# SEAL_DIR     directory of the seal key, for the server; of the recovery key too  (/seal)
# LOGIN_DIR    directory of role-id and secret-id, for the credential service     (/login)
# SEAL_OWNER   user:group that the seal key is for; empty: whoever runs this
# LOGIN_OWNER  user:group that role-id and secret-id are for; empty: whoever runs this
# POLICY_FILE  the policy                                                          (beside this)
# BAO_TOKEN    an administrator's token, for a server that somebody else has initialised
set -eu
umask 077

SEAL_DIR=${SEAL_DIR:-/seal}
LOGIN_DIR=${LOGIN_DIR:-/login}
POLICY_FILE=${POLICY_FILE:-$(dirname "$0")/policy.hcl}
MOUNT=integration
NAME=integration-service
SPOOL_KEY=integration-spool
ROOT_TOKEN_FILE=$SEAL_DIR/root-token # only until everything is set up

say() { echo "openbao setup: $*"; }

give() { # OWNER FILE...
  owner=$1
  shift
  if [ -n "$owner" ]; then chown "$owner" "$@"; fi
}

make_seal_key() {
  if [ ! -s "$SEAL_DIR/key" ]; then
    head -c 32 /dev/urandom >"$SEAL_DIR/.key"
    mv "$SEAL_DIR/.key" "$SEAL_DIR/key"
    say "made the seal key; keep a copy, without it the data stay closed"
  fi
  give "${SEAL_OWNER:-}" "$SEAL_DIR/key"
}

# `bao status` ends with 0 when unsealed, 2 when sealed, 1 when there is no answer.
wait_until() { # STATUS...
  tries=0
  while :; do
    status=0
    bao status >/dev/null 2>&1 || status=$?
    for wanted; do
      if [ "$status" = "$wanted" ]; then return 0; fi
    done
    tries=$((tries + 1))
    if [ "$tries" -gt 120 ]; then
      say "the server at ${BAO_ADDR:-?} is not ready (bao status: $status)" >&2
      exit 1
    fi
    sleep 0.5
  done
}

initialise() {
  wait_until 0 2
  if bao operator init -status >/dev/null 2>&1; then return 0; fi
  made=$(bao operator init -recovery-shares=1 -recovery-threshold=1)
  echo "$made" | sed -n 's/^Initial Root Token: *//p' >"$ROOT_TOKEN_FILE"
  echo "$made" | sed -n 's/^Recovery Key 1: *//p' >"$SEAL_DIR/recovery-key"
  say "initialised; the recovery key is in $SEAL_DIR/recovery-key"
}

is_set_up() {
  if [ ! -s "$LOGIN_DIR/role-id" ] || [ ! -s "$LOGIN_DIR/secret-id" ]; then return 1; fi
  token=$(BAO_TOKEN='' bao write -field=token auth/approle/login \
    role_id=@"$LOGIN_DIR/role-id" secret_id=@"$LOGIN_DIR/secret-id" 2>/dev/null) || return 1
  BAO_TOKEN=$token bao token revoke -self >/dev/null
}

become_administrator() {
  if [ -n "${BAO_TOKEN:-}" ]; then return 0; fi
  if [ ! -s "$ROOT_TOKEN_FILE" ]; then
    say "the role id and secret id in $LOGIN_DIR do not log in, and there is no token to make" \
      "others with; make one with 'bao operator generate-root' and set BAO_TOKEN" >&2
    exit 1
  fi
  BAO_TOKEN=$(cat "$ROOT_TOKEN_FILE")
  export BAO_TOKEN
}

has() { # KIND PATH: secrets or auth
  bao "$1" list -format=json | grep -q "\"$2/\""
}

configure() {
  if ! has secrets "$MOUNT"; then
    bao secrets enable -path="$MOUNT" -version=2 kv >/dev/null
  fi
  tries=0
  # For a moment after it was mounted the engine is busy with itself.
  until bao write "$MOUNT/config" cas_required=true max_versions=20 >/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 20 ]; then exit 1; fi
    sleep 0.5
  done

  if ! has secrets transit; then bao secrets enable transit >/dev/null; fi
  # Writing a key that is there changes nothing.
  bao write -f "transit/keys/$SPOOL_KEY" type=rsa-3072 >/dev/null

  bao policy write "$NAME" "$POLICY_FILE" >/dev/null

  if ! has auth approle; then bao auth enable approle >/dev/null; fi
  bao write "auth/approle/role/$NAME" token_policies="$NAME" token_no_default_policy=true \
    token_ttl=1h token_max_ttl=24h >/dev/null
}

hand_over() {
  bao read -field=role_id "auth/approle/role/$NAME/role-id" >"$LOGIN_DIR/role-id"
  bao write -f -field=secret_id "auth/approle/role/$NAME/secret-id" >"$LOGIN_DIR/.secret-id"
  mv "$LOGIN_DIR/.secret-id" "$LOGIN_DIR/secret-id"
  give "${LOGIN_OWNER:-}" "$LOGIN_DIR/role-id" "$LOGIN_DIR/secret-id"
}

lay_down_root() {
  if [ -s "$ROOT_TOKEN_FILE" ]; then
    BAO_TOKEN=$(cat "$ROOT_TOKEN_FILE") bao token revoke -self >/dev/null || true
    rm -f "$ROOT_TOKEN_FILE"
  fi
}

if [ "${1:-}" = seal-key ]; then
  make_seal_key
  exit 0
fi

initialise
wait_until 0
if is_set_up; then
  lay_down_root
  say "is set up already"
  exit 0
fi
become_administrator
configure
hand_over
lay_down_root
say "role id and secret id are in $LOGIN_DIR"
