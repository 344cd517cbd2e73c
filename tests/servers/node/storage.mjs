// Where oidc-provider keeps what it issued. Its own memory holds 1,000 entries, then forgets.

const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode']);

/** Makes the adapter of a provider. `grace` answers for how many seconds a used token still works. */
export function storage(grace) {
  const models = new Map();
  return (model) => {
    if (!models.has(model)) models.set(model, new Storage(model, models, grace));
    return models.get(model);
  };
}

class Storage {
  constructor(model, models, grace) {
    this.model = model;
    this.models = models;
    this.grace = grace;
    this.entries = new Map();
    this.ids = { uid: new Map(), userCode: new Map() };
    this.grants = new Map();
  }

  async upsert(id, payload) {
    this.entries.set(id, { payload });
    for (const [name, index] of Object.entries(this.ids)) {
      if (payload[name]) index.set(payload[name], id);
    }
    if (!GRANTABLE.has(this.model) || !payload.grantId) return;
    if (!this.grants.has(payload.grantId)) this.grants.set(payload.grantId, new Set());
    this.grants.get(payload.grantId).add(id);
  }

  async find(id) {
    const entry = this.entries.get(id);
    if (!entry) return undefined;
    const { payload, consumedAt } = entry;
    const inGrace = consumedAt !== undefined && Date.now() - consumedAt < this.grace(this.model) * 1000;
    return consumedAt === undefined || inGrace ? payload : { ...payload, consumed: consumedAt };
  }

  async findByUid(uid) {
    return this.find(this.ids.uid.get(uid));
  }

  async findByUserCode(userCode) {
    return this.find(this.ids.userCode.get(userCode));
  }

  async consume(id) {
    // A grace starts with the first use.
    this.entries.get(id).consumedAt ??= Date.now();
  }

  async destroy(id) {
    this.entries.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const { entries, grants } of this.models.values()) {
      for (const id of grants.get(grantId) ?? []) entries.delete(id);
      grants.delete(grantId);
    }
  }
}
