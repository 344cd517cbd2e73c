// What tests see and steer of a token endpoint: a log of its requests, delays and faults.

import { createHash } from 'node:crypto';
import { parse } from 'node:querystring';

import { read, sleep } from './control.mjs';
import { issuerOf, JWT_BEARER } from './grants.mjs';

/** A short name for a token, so that logs can be compared without showing it. */
export const nameOf = (token) => createHash('sha256').update(token).digest('hex').slice(0, 16);

/** Keeps the log and the faults of one token endpoint; `behaviour` is changed by tests. */
export class TokenEndpoint {
  constructor(behaviour) {
    this.behaviour = behaviour;
    this.reset();
  }

  reset() {
    this.log = [];
    this.received = 0;
  }

  /** Koa middleware around the provider. */
  async around(ctx, next) {
    if (ctx.method !== 'POST' || ctx.path !== '/token') {
      await next();
      return;
    }
    const entry = await this.receive(ctx);
    const fault = this.faultFor(entry);
    await sleep(this.behaviour.delayBeforeMs + (fault.stallMs ?? 0));
    if (fault.hangUp === 'before') return hangUp(ctx, entry);
    if (fault.status) refuse(ctx, fault);
    else await next();
    finish(ctx, entry);
    await sleep(this.behaviour.delayAfterMs + (fault.stallAfterMs ?? 0));
    if (fault.hangUp === 'after') hangUp(ctx, entry);
  }

  async receive(ctx) {
    const form = parse(await read(ctx.req));
    // Google's service accounts and their like name nobody but the issuer of the assertion.
    if (form.grant_type === JWT_BEARER && !form.client_id && !ctx.headers.authorization) {
      const issuer = issuerOf(form.assertion);
      if (issuer) ctx.req.body = { ...form, client_id: issuer };
    }
    ctx.req.body ??= form;
    const entry = {
      number: (this.received += 1),
      receivedAt: Date.now() / 1000,
      grantType: form.grant_type,
      authorization: ctx.headers.authorization ?? null,
      form,
      redeemed: form.refresh_token ? nameOf(form.refresh_token) : null,
      issued: null,
      status: null,
      error: null,
      detail: null,
      delivered: null,
    };
    this.log.push(entry);
    ctx.res.once('close', () => { entry.delivered = ctx.res.writableFinished; });
    ctx.state.entry = entry;
    return entry;
  }

  faultFor(entry) {
    const concerns = ({ grantType }) => !grantType || grantType === entry.grantType;
    const { once, every } = this.behaviour;
    const index = once.findIndex(concerns);
    if (index >= 0) return once.splice(index, 1)[0];
    return every.find((fault) => concerns(fault) && entry.number % fault.every === (fault.offset ?? 0)) ?? {};
  }
}

function refuse(ctx, { status, error, retryAfter }) {
  ctx.status = status;
  if (retryAfter !== undefined) ctx.set('retry-after', String(retryAfter));
  ctx.body = error ? { error } : 'the server is having a bad day';
}

function finish(ctx, entry) {
  entry.status = ctx.status;
  entry.error = ctx.body?.error ?? null;
  const issued = ctx.body?.refresh_token;
  entry.issued = issued && nameOf(issued) !== entry.redeemed ? nameOf(issued) : null;
}

function hangUp(ctx, entry) {
  entry.delivered = false;
  ctx.respond = false;
  ctx.req.socket.destroy();
}
