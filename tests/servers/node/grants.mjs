// Grants that oidc-provider does not bring along: JWT bearer (RFC 7523) and token exchange (RFC 8693).

import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from 'jose';
import { errors as oauth } from 'oidc-provider';

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const LONGEST_ASSERTION = '1 hour';

/** Teaches a provider both grants. */
export function registerGrants(provider) {
  provider.registerGrantType(JWT_BEARER, jwtBearer, ['assertion', 'scope']);
  provider.registerGrantType(
    TOKEN_EXCHANGE,
    tokenExchange,
    ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope'],
    ['audience', 'resource'],
  );
}

/** Answers the client that an assertion speaks for: it authenticates nobody else (RFC 7523 section 3.1). */
export function issuerOf(assertion) {
  try {
    return decodeJwt(assertion).iss;
  } catch {
    return undefined;
  }
}

async function jwtBearer(ctx) {
  const { client, params, provider } = ctx.oidc;
  const keys = createLocalJWKSet(structuredClone(client.jwks));
  try {
    await jwtVerify(params.assertion, keys, {
      issuer: client.clientId,
      audience: [provider.issuer, provider.urlFor('token')],
      requiredClaims: ['sub', 'exp', 'iat'],
      maxTokenAge: LONGEST_ASSERTION,
    });
  } catch (problem) {
    if (!(problem instanceof errors.JOSEError)) throw problem;
    throw new oauth.InvalidGrant(`assertion refused: ${problem.message}`);
  }
  await issue(ctx, params.scope);
}

async function tokenExchange(ctx) {
  const { params, provider } = ctx.oidc;
  if (params.subject_token_type !== ACCESS_TOKEN) {
    throw new oauth.InvalidRequest('subject_token_type is not supported');
  }
  const subject = await provider.AccessToken.find(params.subject_token);
  if (!subject?.isValid) throw new oauth.InvalidGrant('subject_token is not valid');
  await issue(ctx, params.scope ?? subject.scope);
  ctx.body.issued_token_type = ACCESS_TOKEN;
}

async function issue(ctx, scope) {
  const { client, provider } = ctx.oidc;
  const token = new provider.ClientCredentials({ client, scope });
  const value = await token.save();
  ctx.body = { access_token: value, token_type: 'Bearer', expires_in: token.expiration, scope };
}
