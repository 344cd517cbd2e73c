// Runs oidc-provider, an OpenID-certified authorization server, as strict as it can be.

import { Provider } from 'oidc-provider';

import { listen, options } from './control.mjs';
import { registerGrants } from './grants.mjs';
import { storage } from './storage.mjs';
import { nameOf, TokenEndpoint } from './token_endpoint.mjs';

const CALM = {
  delayBeforeMs: 0,
  delayAfterMs: 0,
  graceSeconds: 0,
  rotate: true,
  accessTokenTtl: 3600,
  refreshTokenTtl: 86400,
  deviceInterval: 1,
  once: [],
  every: [],
};
const DAY = 86400;
const TOKEN_MODELS = ['AccessToken', 'RefreshToken', 'ClientCredentials'];

const behaviour = { ...structuredClone(CALM), ...options.behaviour };
const endpoint = new TokenEndpoint(behaviour);
const { issuer, serve } = await listen();
const provider = new Provider(issuer, {
  adapter: storage((model) => (model === 'RefreshToken' ? behaviour.graceSeconds : 0)),
  clients: options.clients,
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  clockTolerance: 0,
  cookies: { keys: ['loopback'] },
  enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'RS256'] },
  expiresWithSession: () => false,
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  rotateRefreshToken: () => behaviour.rotate,
  scopes: ['openid', 'offline_access', 'profile', 'email', 'read', 'write'],
  ttl: {
    AccessToken: () => behaviour.accessTokenTtl,
    ClientCredentials: () => behaviour.accessTokenTtl,
    RefreshToken: () => behaviour.refreshTokenTtl,
    AuthorizationCode: 60,
    DeviceCode: 600,
    Grant: DAY,
    IdToken: 3600,
    Interaction: 600,
    Session: DAY,
  },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({ scope: 'read write', audience: resource }),
      useGrantedResource: () => true,
    },
  },
});
registerGrants(provider);
provider.use((ctx, next) => endpoint.around(ctx, next));
provider.on('grant.error', (ctx, problem) => {
  if (ctx.state.entry) ctx.state.entry.detail = problem.error_detail ?? problem.error_description ?? null;
});
provider.on('server_error', (_, problem) => console.error(problem));
provider.on('device_authorization.success', (_, body) => { body.interval = behaviour.deviceInterval; });

/** Makes grants as if their users had consented, which takes a hundred requests else. */
async function mint({ clientId, scope, count }) {
  const client = await provider.Client.find(clientId);
  const made = [];
  for (let number = 0; number < count; number += 1) {
    const accountId = `user-${number}`;
    const grant = new provider.Grant({ accountId, clientId });
    grant.addOIDCScope(scope);
    const common = { accountId, client, scope, grantId: await grant.save(), gty: 'authorization_code' };
    const access = new provider.AccessToken(common);
    const refresh = new provider.RefreshToken({ ...common, rotations: 0 });
    made.push({
      accessToken: await access.save(),
      refreshToken: await refresh.save(),
      expiresIn: access.expiration,
    });
  }
  return made;
}

async function find(token) {
  for (const model of TOKEN_MODELS) {
    const found = await provider[model].find(token);
    if (found) return found;
  }
  return undefined;
}

async function alive({ token }) {
  const found = await find(token);
  if (!found?.isValid) return false;
  return !found.grantId || Boolean(await provider.Grant.find(found.grantId));
}

/** What happens when a user takes back the consent. */
async function withdraw({ token }) {
  const found = await find(token);
  if (!found?.grantId) throw new Error('no grant belongs to that token');
  await provider.RefreshToken.revokeByGrantId(found.grantId);
  await provider.Grant.adapter.destroy(found.grantId);
}

serve(provider.callback(), {
  behave: (changes) => Object.assign(behaviour, changes),
  log: () => endpoint.log,
  reset: () => {
    Object.assign(behaviour, structuredClone(CALM), options.behaviour);
    endpoint.reset();
  },
  mint,
  alive,
  withdraw,
  name: ({ token }) => nameOf(token),
});
